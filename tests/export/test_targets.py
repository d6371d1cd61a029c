"""Artifacts for other processors: cross-compiled with zig, run under QEMU and in Node.js."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.export.building import STRICT, make, needs, run, traced, zig

#: Zig's name of a platform, what runs its programs, and the target that the step is lowered for.
PLATFORMS = [
    ("aarch64-linux-musl", "qemu-aarch64", "aarch64"),
    pytest.param("arm-linux-musleabihf", "qemu-arm", "generic", marks=pytest.mark.slow),
    pytest.param("riscv64-linux-musl", "qemu-riscv64", "generic", marks=pytest.mark.slow),
]
NODE = """
const { WASI } = require('node:wasi');
const wasi = new WASI({ version: 'preview1', args: ['selftest'] });
const bytes = require('node:fs').readFileSync(process.argv[2]);
WebAssembly.instantiate(bytes, wasi.getImportObject()).then(
    ({ instance }) => process.exit(wasi.start(instance)));
"""


def exported(folder: Path, target: str) -> Path:
    traced().lower(threads=1, target=target).export(folder)
    return folder


@pytest.mark.parametrize(("platform", "emulator", "target"), PLATFORMS)
def test_the_self_test_passes_on_another_processor(
    platform: str, emulator: str, target: str, tmp_path: Path
) -> None:
    emulator = needs(emulator)
    program = make(exported(tmp_path, target), zig("-target", platform, "-O1"), "selftest")
    assert "passed" in run([emulator, program], tmp_path).stdout


def test_the_self_test_passes_in_webassembly(tmp_path: Path) -> None:
    node = needs("node")
    compiler = zig("-target", "wasm32-wasi", "-msimd128", "-O1")
    program = make(exported(tmp_path, "generic"), compiler, "selftest")
    (tmp_path / "run.js").write_text(NODE)
    assert "passed" in run([node, "--no-warnings", "run.js", program], tmp_path).stdout


def test_an_older_processor_is_refused_with_a_message(tmp_path: Path) -> None:
    """The step needs AVX2; the processor that is emulated has none. Only NAME.c is compiled for it:
    a program that asks must run itself.
    """
    emulator, gcc = needs("qemu-x86_64"), needs("gcc")
    if "x86_64" not in run([gcc, "-dumpmachine"], tmp_path).stdout:
        pytest.skip("not an x86-64 compiler")
    exported(tmp_path, "x86-64-v3")
    step = [gcc, *STRICT, "-O1", "-march=x86-64-v3", "-c", "train_step.c"]
    run(step, tmp_path)
    run([gcc, *STRICT, "-O1", "selftest.c", "train_step.o", "-lm", "-o", "test.out"], tmp_path)
    done = run([emulator, "-cpu", "Nehalem", tmp_path / "test.out"], tmp_path, 2)
    assert "lacks AVX2, FMA and BMI2" in done.stdout and "x86-64-v3" in done.stdout
    done = run([gcc, *STRICT, "-march=x86-64", "-c", "train_step.c"], tmp_path, 1)
    assert "-march=x86-64-v3 is required" in done.stderr


def test_a_processor_without_one_extension_is_refused(tmp_path: Path) -> None:
    """Flags may allow more than a level: the emulated processor has the level, but no GFNI."""
    emulator, gcc = needs("qemu-x86_64"), needs("gcc")
    if "x86_64" not in run([gcc, "-dumpmachine"], tmp_path).stdout:
        pytest.skip("not an x86-64 compiler")
    exported(tmp_path, "x86-64-v2")
    for flags, status in ([], 0), (["-mgfni"], 2):
        step = [gcc, *STRICT, "-O1", "-march=x86-64-v2", *flags, "-c", "train_step.c"]
        run(step, tmp_path)
        run([gcc, *STRICT, "-O1", "selftest.c", "train_step.o", "-lm", "-o", "test.out"], tmp_path)
        done = run([emulator, "-cpu", "Nehalem", tmp_path / "test.out"], tmp_path, status)
        assert ("lacks" in done.stdout) == (status == 2)


def test_generic_code_can_be_compiled_for_more(tmp_path: Path) -> None:
    program = make(
        exported(tmp_path, "generic"), (needs("gcc"), "-O1", "-march=native"), "selftest"
    )
    run([program], tmp_path)
