"""The folder of an artifact."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphc.errors import ArgumentError
from graphc.export.building import cmakelists, makefile
from graphc.export.describing import manifest, readme
from graphc.export.example import example
from graphc.export.header import header
from graphc.export.interface import describe
from graphc.export.selftest import selftest
from graphc.export.source import source
from graphc.io import save
from graphc.stages import Lowered


def write(
    directory: str | os.PathLike[str],
    name: str,
    steps: Mapping[str, Lowered[Any, Any]],
    threads: bool,
) -> list[Path]:
    """Writes the files of an artifact and gives their paths."""
    artifact = describe(name, steps, threads)
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
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for file, text in (own | texts).items():
        paths.append(folder / file)
        paths[-1].write_text(text, encoding="utf-8")
    if artifact.constants:
        paths.append(folder / f"{name}_constants.safetensors")
        arrays = zip(artifact.constants, artifact.constant_arrays, strict=True)
        save(paths[-1], {field.key: array for field, array in arrays})
    return paths
