"""Build `zkds._native` with cffi (API mode) from the C files of this folder.

The declarations in `api/*.h` are read twice: by the C compiler and by cffi. Instruction sets are chosen inside the
sources (`isa_*.c`), so no flag here depends on the machine and the built wheel runs on any machine of its family.
"""

import os
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def relative(path: Path) -> str:
    return os.path.relpath(path, ROOT)


api_headers = sorted((HERE / "api").glob("*.h"))
sources = sorted(HERE.glob("*.c"))

ffibuilder = FFI()
ffibuilder.cdef("\n".join(header.read_text() for header in api_headers))
ffibuilder.set_source(
    "zkds._native",
    '#include "runtime.h"\n'  # brings api/runtime.h
    + "".join(f'#include "api/{header.name}"\n' for header in api_headers if header.name != "runtime.h"),
    sources=[relative(path) for path in sources],
    depends=[relative(path) for path in sorted(HERE.rglob("*.h"))],
    include_dirs=[relative(HERE)],
    # Python's own flags may ask for symbols of debugging, which are nine tenths of the file.
    extra_compile_args=["-O3", "-g0", "-std=c11", "-pthread", *os.environ.get("ZKDS_CFLAGS", "").split()],
    extra_link_args=["-pthread"],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
