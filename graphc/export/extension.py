"""An artifact as a Python package that setuptools and cffi build: `form="cffi"`."""

from __future__ import annotations

import keyword
import sys
from collections.abc import Iterator
from importlib.resources import files

from graphc import __version__
from graphc.codegen.emit_c import comment_text
from graphc.errors import ArgumentError
from graphc.export.building import flags
from graphc.export.header import call_types, prototypes
from graphc.export.interface import Entry, Interface

#: Where the package stands in the folder: beside the C files, whatever it is called.
_SOURCES = "python"
_USED = {"numpy", "cffi"}


def package(artifact: Interface) -> dict[str, str]:
    """Files by their paths in the folder, besides those of the C form. Raises ArgumentError for a
    name that no module can have, or that another module of Python's has.
    """
    name = artifact.name
    if keyword.iskeyword(name) or name in sys.stdlib_module_names | _USED:
        raise ArgumentError(f"export: {name} is a word or a module of Python; choose another name")
    home = f"{_SOURCES}/{name}"
    step = (files("graphc.export") / "shipped" / "step.py").read_text(encoding="utf-8")
    threads = ["-pthread"] if artifact.threads > 1 else []
    words = {
        "name": name,
        "version": __version__,
        "sources": _SOURCES,
        "cdef": _declarations(artifact),
        "flags": [*flags(artifact), *threads, "-iquote", "."],
        "link": threads,
    }
    return {
        "pyproject.toml": _PROJECT.format(**words),
        "setup.py": _SETUP.format(**words),
        f"{name}_cffi.py": _BUILDER.format(**words),
        f"{home}/__init__.py": _module(artifact),
        f"{home}/step.py": step,
    }


def shared_files(artifact: Interface) -> dict[str, str]:
    """Files of the C form of which the package has a copy: where each of them goes."""
    names = ["manifest.json"]
    names += [f"{artifact.name}_constants.safetensors"] if artifact.constants else []
    return {file: f"{_SOURCES}/{artifact.name}/{file}" for file in names}


def package_readme(artifact: Interface) -> str:
    """What README.md says of the package."""
    first = artifact.entries[0]
    given = ", ".join(_spelled(f.name) for f in first.inputs)
    return _README.format(
        name=artifact.name, sources=_SOURCES, call=f"{_spelled(first.short)}({given})"
    )


def _declarations(artifact: Interface) -> str:
    """The header as cffi reads it: structs that Python sees as memory have no members, and there
    are no comments, in which users' words stand.
    """
    name = artifact.name
    kinds = [("state", artifact.state), ("constants", artifact.constants)]
    lines = [f"typedef struct {name}_{kind} {name}_{kind};" for kind, fields in kinds if fields]
    lines += [f"typedef struct {name}_pool {{ ...; }} {name}_pool;"] * (artifact.threads > 1)
    for entry in artifact.entries:
        lines += [line.partition("/*")[0].rstrip() for line in call_types(entry)]
    return "\n".join([*lines, *prototypes(artifact)])


def _module(artifact: Interface) -> str:
    parts = [_MODULE.format(name=artifact.name, version=__version__)]
    parts += ["\n".join(_method(entry, k)) for k, entry in enumerate(artifact.entries)]
    return "\n".join(parts)


def _method(entry: Entry, number: int) -> Iterator[str]:
    """The method of an entry, called like what follows the artifact's name."""
    names = [_spelled(f.name) for f in entry.inputs]
    yield f"    def {_spelled(entry.short)}({', '.join(['self', *names])}):"
    change = "updates the state" if entry.modifies else "changes nothing"
    yield f'        """{_plain(entry.lowered.signature.name)}: {change}.'
    yield ""
    for title, fields in (("Takes", entry.inputs), ("Gives a dict of", entry.outputs)):
        if fields:
            yield f"        {title} {', '.join(f'{f.name}: {f.type}' for f in fields)}."
    yield '        """'
    yield f"        return self._call({', '.join([str(number), *names])})"
    yield ""


def _spelled(name: str) -> str:
    """A name as Python takes it; no identifier of an artifact ends with `_`."""
    return f"{name}_" if keyword.iskeyword(name) or name == "self" else name


def _plain(text: str) -> str:
    """Text inside a docstring."""
    return comment_text(text).replace("\\", "/").replace('"', "'")


_PROJECT = """\
[build-system]
requires = ["setuptools>=70", "cffi>=1.16"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "{version}"
description = "A step compiled by graphc"
requires-python = ">=3.10"
dependencies = ["numpy>=2", "cffi>=1.16"]

[tool.setuptools]
packages = ["{name}"]
package-dir = {{ "" = "{sources}" }}

[tool.setuptools.package-data]
{name} = ["*.json", "*.safetensors"]
"""

_SETUP = """\
from setuptools import setup

setup(cffi_modules=["{name}_cffi.py:ffi"])
"""

_BUILDER = '''\
"""Makes {name}._native, the extension module: setup.py runs this."""

from cffi import FFI

ffi = FFI()
ffi.cdef("""
{cdef}
""")
ffi.set_source(
    "{name}._native",
    '#include "{name}.h"',
    sources=["{name}.c"],
    depends=["{name}.h"],
    libraries=["m"],
    extra_compile_args={flags},
    extra_link_args={link},
)
'''

_MODULE = '''\
"""{name}: a step compiled by graphc {version}.

    step = Step()
    load("state.safetensors", step.state)    # or step.state[name][...] = array
"""

import json
from pathlib import Path

from {name} import step as _step
from {name}._native import ffi as _native_ffi
from {name}._native import lib as _native_lib
from {name}.step import load, save

__all__ = ["Step", "load", "save"]


class Step(_step.Step):
    __doc__ = _step.Step.__doc__
    _ffi, _lib = _native_ffi, _native_lib
    _folder = Path(__file__).parent
    _layout = json.loads((_folder / "manifest.json").read_text(encoding="utf-8"))
'''

_README = """
## Python

`pip install .` builds the package `{name}` (`{sources}/{name}`), which needs NumPy and cffi and
nothing of graphc:

```python
import {name}

step = {name}.Step()
{name}.load("state.safetensors", step.state)  # or step.state[name][...] = array
result = step.{call}
{name}.save("state.safetensors", step.state)
```

`step.state` is a dict of arrays by their names in files, `result` one of the outputs by theirs.
"""
