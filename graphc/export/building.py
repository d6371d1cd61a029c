"""How an artifact is built: flags, CMakeLists.txt, Makefile."""

from __future__ import annotations

from graphc.build.toolchain import BASE_FLAGS, WIDE_VECTORS, target_flags
from graphc.export.interface import Interface

#: Flags that every file of an artifact compiles with, without a warning.
_STRICT = "-Wall -Wextra -Wpedantic"


def flags(artifact: Interface) -> tuple[str, ...]:
    """What NAME.c is compiled with, by gcc or clang for the processor family of its target."""
    if artifact.levels:
        # Each part of the file says itself what it is for.
        return (*BASE_FLAGS, "-march=x86-64")
    if artifact.target == "generic":
        own: tuple[str, ...] = ()
    else:
        machine = "aarch64" if artifact.isa == "neon" else "x86_64"
        own = target_flags("gcc", machine, artifact.target)
    wide = (WIDE_VECTORS,) if artifact.isa == "avx512" else ()
    return (*BASE_FLAGS, *own, *wide)


def makefile(artifact: Interface) -> str:
    own = [f for f in flags(artifact) if f not in BASE_FLAGS]
    threads = " -pthread" if artifact.threads > 1 else ""
    return _MAKEFILE.format(
        name=artifact.name,
        base=" ".join(BASE_FLAGS),
        target=" ".join(own),
        strict=_STRICT,
        threads=threads,
        constants=f" {artifact.name}_constants.safetensors" if artifact.constants else "",
    )


def cmakelists(artifact: Interface) -> str:
    base = [f for f in BASE_FLAGS if not f.startswith(("-std", "-O"))]
    own = [f for f in flags(artifact) if f not in BASE_FLAGS]
    threads = artifact.threads > 1
    return _CMAKE.format(
        name=artifact.name,
        base=" ".join(base),
        target=" ".join(own),
        strict=_STRICT,
        find="find_package(Threads REQUIRED)\n" if threads else "",
        libraries=" Threads::Threads" if threads else "",
    )


_MAKEFILE = """\
# {name}: make builds the library, the self-test and the example; make check runs the test too.
# Another compiler: make CC=clang. Another processor: make TARGET=-march=...; for a compiler that
# crosses, make CC="zig cc -target aarch64-linux-musl" TARGET= RUN=qemu-aarch64.
CC ?= cc
AR ?= ar
CFLAGS ?= {base} {strict}
TARGET ?= {target}
LDLIBS ?= -lm
RUN ?=

all: lib{name}.a selftest example

{name}.o: {name}.c {name}.h
	$(CC) $(CFLAGS){threads} $(TARGET) -fPIC -c -o $@ {name}.c

lib{name}.a: {name}.o
	$(AR) rcs $@ {name}.o

lib{name}.so: {name}.o
	$(CC) -shared{threads} -o $@ {name}.o $(LDLIBS)

selftest: selftest.c {name}.o
	$(CC) $(CFLAGS){threads} -o $@ selftest.c {name}.o $(LDLIBS)

example: example.c {name}.o
	$(CC) $(CFLAGS){threads} -o $@ example.c {name}.o $(LDLIBS)

check: all
	$(RUN) ./selftest{constants}

clean:
	rm -f {name}.o lib{name}.a lib{name}.so selftest example

.PHONY: all check clean
"""

_CMAKE = """\
cmake_minimum_required(VERSION 3.13)
project(graphc_{name} C)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_FLAGS_RELEASE "-O3")
set(GX_TARGET_{name} "{target}" CACHE STRING "Flags that choose the processor of {name}.c")
add_compile_options({base} {strict})
{find}
# For #include "...", not for <...>: whatever {name}.h is called, it hides no header of the system.
add_library(lib{name} {name}.c)
set_target_properties(lib{name} PROPERTIES OUTPUT_NAME {name})
target_compile_options(lib{name} INTERFACE "SHELL:-iquote \\"${{CMAKE_CURRENT_SOURCE_DIR}}\\"")
separate_arguments(GX_FLAGS UNIX_COMMAND "${{GX_TARGET_{name}}}")
target_compile_options(lib{name} PRIVATE ${{GX_FLAGS}})
target_link_libraries(lib{name} PUBLIC m{libraries})

foreach(program selftest example)
  add_executable(${{program}} ${{program}}.c)
  target_link_libraries(${{program}} PRIVATE lib{name})
endforeach()

enable_testing()
add_test(NAME selftest COMMAND selftest WORKING_DIRECTORY ${{CMAKE_CURRENT_SOURCE_DIR}})
"""
