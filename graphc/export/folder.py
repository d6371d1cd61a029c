"""The folder of an artifact."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphc.errors import ArgumentError
from graphc.export.building import cmakelists, makefile
from graphc.export.describing import manifest, readme
from graphc.export.example import example
from graphc.export.extension import package, package_readme, shared_files
from graphc.export.header import header
from graphc.export.interface import Interface, describe, with_levels
from graphc.export.levels import planned
from graphc.export.retarget import retargeted
from graphc.export.selftest import selftest
from graphc.export.source import source
from graphc.export.web import page
from graphc.io import save
from graphc.stages import Lowered

#: What an export can be: C, C that is also a Python package, or a page of HTML.
FORMS = ("c", "cffi", "web")


def write(
    directory: str | os.PathLike[str],
    name: str,
    steps: Mapping[str, Lowered[Any, Any]],
    threads: bool,
    form: str,
    arguments: Sequence[Any] | None,
    levels: Sequence[str] = (),
) -> list[Path]:
    """Writes the files of an artifact and gives their paths."""
    if form not in FORMS:
        raise ArgumentError(f"export: form: expected one of {', '.join(FORMS)}, got {form!r}")
    if arguments is not None and form != "web":
        raise ArgumentError(f"export: arguments are for form='web', got form={form!r}")
    folder = Path(directory)
    if form == "web":
        if levels:
            raise ArgumentError("export: levels are for C, not for form='web'")
        portable = {key: retargeted(step, "generic", 1) for key, step in steps.items()}
        artifact = describe(name, portable, False)
        return _written(folder, {f"{name}.html": page(artifact, arguments)})
    artifact = _described(name, steps, threads, levels)
    own = {f"{name}.h": header(artifact), f"{name}.c": source(artifact)}
    texts = {
        "selftest.c": selftest(artifact),
        "example.c": example(artifact),
        "CMakeLists.txt": cmakelists(artifact),
        "Makefile": makefile(artifact),
        "manifest.json": manifest(artifact),
        "README.md": readme(artifact),
    }
    for file in own:
        if file.lower() in texts:
            raise ArgumentError(f"export: the folder has a {file} of its own; choose another name")
    if form == "cffi":
        texts |= package(artifact)
        texts["README.md"] += package_readme(artifact)
    paths = _written(folder, own | texts)
    if artifact.constants:
        paths.append(folder / f"{name}_constants.safetensors")
        arrays = zip(artifact.constants, artifact.constant_arrays, strict=True)
        save(paths[-1], {field.key: array for field, array in arrays})
    if form == "cffi":
        for file, copy in shared_files(artifact).items():
            paths.append(Path(shutil.copyfile(folder / file, folder / copy)))
    return paths


def _described(
    name: str, steps: Mapping[str, Lowered[Any, Any]], threads: bool, levels: Sequence[str]
) -> Interface:
    if not levels:
        return describe(name, steps, threads)
    found = [planned(step, levels) for step in steps.values()]
    return with_levels(
        [
            describe(name, dict(zip(steps, one, strict=True)), threads)
            for one in zip(*found, strict=True)
        ]
    )


def _written(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    paths = []
    for file, text in texts.items():
        paths.append(folder / file)
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        paths[-1].write_text(text, encoding="utf-8")
    return paths
