"""Thin bindings to the C core: check types, shapes and return codes, and nothing else.

`ZKDS_KERNELS=portable|avx2|avx512|amx` forces an instruction set, `ZKDS_THREADS=n` the number of threads; both are read
once, on import. Arrays are owned by numpy, C-contiguous, and hold canonical field elements (uint64 below `p`).
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

import zkds._native as _native

ffi = _native.ffi
lib = _native.lib

U8 = NDArray[np.uint8]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]

INSTRUCTION_SETS = ("portable", "avx2", "avx512", "amx")


class NativeError(RuntimeError):
    """The C core refused a call that passed the checks of its binding."""


def check(code: int, what: str) -> None:
    """Raise for a return code other than 0."""
    if code == lib.ZKDS_OK:
        return
    if code == lib.ZKDS_OUT_OF_MEMORY:
        raise MemoryError(f"{what}: not enough memory")
    if code == lib.ZKDS_BAD_ARGUMENT:
        raise ValueError(f"{what}: the C core rejected an argument")
    raise NativeError(f"{what}: return code {code}")


def array(name: str, value: object, dtype: Any, shape: tuple[int | None, ...] | None = None) -> NDArray[Any]:
    """`value` itself, if it is a C-contiguous array of this dtype and shape (None: any length); never a copy.

    Raises TypeError for a wrong type or dtype, ValueError for a wrong shape or layout.
    """
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name}: expected a numpy array of {np.dtype(dtype)}, got {type(value).__name__}")
    if value.dtype != np.dtype(dtype):
        raise TypeError(f"{name}: expected dtype {np.dtype(dtype)}, got {value.dtype}")
    if shape is not None and not _fits(value.shape, shape):
        wanted = "(" + ", ".join("n" if w is None else str(w) for w in shape) + ")"
        raise ValueError(f"{name}: expected shape {wanted}, got {value.shape}")
    if not value.flags.c_contiguous:
        raise ValueError(f"{name}: expected a C-contiguous array")
    return value


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    if len(shape) != len(wanted):
        return False
    for length, expected in zip(shape, wanted, strict=True):
        if expected is not None and length != expected:
            return False
    return True


def pointer(value: NDArray[Any], ctype: str) -> Any:
    """The C pointer to the array's memory, for example `pointer(a, "uint64_t *")`."""
    return ffi.cast(ctype, ffi.from_buffer(value))


def instruction_set() -> str:
    """The instruction set in use: "portable", "avx2", "avx512" or "amx" (AVX-512, and tiles where a kernel has them)."""
    return INSTRUCTION_SETS[lib.zkds_isa()]


def available_instruction_sets() -> tuple[str, ...]:
    """The instruction sets that this processor has, slowest first."""
    return INSTRUCTION_SETS[: lib.zkds_best_isa() + 1]


def select_instruction_set(name: str) -> None:
    """Use one instruction set from here on. Raises ValueError if it is unknown or missing on this processor."""
    if name not in INSTRUCTION_SETS:
        raise ValueError(f"instruction set: expected one of {', '.join(INSTRUCTION_SETS)}, got {name[:20]!r}")
    if name not in available_instruction_sets():
        raise ValueError(f"instruction set {name!r}: this processor has only {', '.join(available_instruction_sets())}")
    check(lib.zkds_select_isa(INSTRUCTION_SETS.index(name)), "select_instruction_set")


def threads() -> int:
    """Threads that a kernel may use."""
    return int(lib.zkds_threads())


def set_threads(count: int) -> None:
    """Use `count` threads (1 to 256) from here on."""
    if not isinstance(count, int):
        raise TypeError(f"threads: expected an int, got {type(count).__name__}")
    if not 1 <= count <= 256:
        raise ValueError(f"threads: expected 1 to 256, got {count}")
    check(lib.zkds_set_threads(count), "set_threads")


def _configure_from_environment() -> None:
    """Raises ValueError naming the variable."""
    kernels = os.environ.get("ZKDS_KERNELS")
    if kernels:
        try:
            select_instruction_set(kernels)
        except ValueError as error:
            raise ValueError(f"ZKDS_KERNELS: {error}") from None
    count = os.environ.get("ZKDS_THREADS")
    if count:
        if not (count.isascii() and count.isdigit() and len(count) <= 3 and 1 <= int(count) <= 256):
            raise ValueError(f"ZKDS_THREADS: expected a number from 1 to 256, got {count[:20]!r}")
        set_threads(int(count))
    else:
        set_threads(min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 256))


_configure_from_environment()
