"""Bindings: arithmetic on arrays of F (uint64, any shape) and of K (blocked, (m, 2, 8) uint64). Entries must be canonical.

A scalar of K is a (2,) uint64 array: real part, imaginary part.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.native import U64, array, check, ffi, lib, pointer

BLOCKED = (None, 2, 8)
MAX_DIMENSIONS = int(lib.ZKDS_TABLE_DIMENSIONS)


def _elementwise(name: str, kernel: Callable[..., int], a: U64, b: U64, out: U64 | None) -> U64:
    array("a", a, np.uint64)
    array("b", b, np.uint64, a.shape)
    result = np.empty_like(a) if out is None else array("out", out, np.uint64, a.shape)
    check(kernel(pointer(a, "uint64_t *"), pointer(b, "uint64_t *"), pointer(result, "uint64_t *"), a.size), name)
    return result


def add(a: U64, b: U64, out: U64 | None = None) -> U64:
    """a + b, entry by entry; arrays of F or of K, of one shape. `out` may be an input."""
    return _elementwise("add", lib.zkds_f_add, a, b, out)


def sub(a: U64, b: U64, out: U64 | None = None) -> U64:
    """a - b, entry by entry; arrays of F or of K, of one shape. `out` may be an input."""
    return _elementwise("sub", lib.zkds_f_sub, a, b, out)


def f_mul(a: U64, b: U64, out: U64 | None = None) -> U64:
    """Products in F, entry by entry; arrays of one shape. `out` may be an input."""
    return _elementwise("f_mul", lib.zkds_f_mul, a, b, out)


def k_mul(a: U64, b: U64, out: U64 | None = None) -> U64:
    """Products in K, entry by entry; blocked arrays of one shape. `out` may be an input."""
    array("a", a, np.uint64, BLOCKED)
    array("b", b, np.uint64, a.shape)
    result = np.empty_like(a) if out is None else array("out", out, np.uint64, a.shape)
    code = lib.zkds_k_mul(pointer(a, "uint64_t *"), pointer(b, "uint64_t *"), pointer(result, "uint64_t *"), len(a))
    check(code, "k_mul")
    return result


def k_scale(a: U64, factor: U64, out: U64 | None = None) -> U64:
    """factor * a for a blocked array and a (2,) scalar. `out` may be the input."""
    array("a", a, np.uint64, BLOCKED)
    array("factor", factor, np.uint64, (2,))
    result = np.empty_like(a) if out is None else array("out", out, np.uint64, a.shape)
    code = lib.zkds_k_scale(pointer(a, "uint64_t *"), pointer(factor, "uint64_t *"), pointer(result, "uint64_t *"), len(a))
    check(code, "k_scale")
    return result


def k_dot(a: U64, b: U64) -> U64:
    """sum_j a[j] b[j] in K, as a (2,) scalar; blocked arrays of one shape."""
    array("a", a, np.uint64, BLOCKED)
    array("b", b, np.uint64, a.shape)
    result = np.empty(2, dtype=np.uint64)
    code = lib.zkds_k_dot(pointer(a, "uint64_t *"), pointer(b, "uint64_t *"), len(a), pointer(result, "uint64_t *"))
    check(code, "k_dot")
    return result


def k_matmul(weights: U64, tables: U64, out: U64 | None = None) -> U64:
    """The product of matrices over K: (rows, count, 2) pairs times blocked tables (count, m, 2, 8) -> (rows, m, 2, 8)."""
    array("weights", weights, np.uint64, (None, None, 2))
    rows, count, _ = weights.shape
    array("tables", tables, np.uint64, (count, None, 2, 8))
    vectors = tables.shape[1]
    shape = (rows, vectors, 2, 8)
    result = np.empty(shape, dtype=np.uint64) if out is None else array("out", out, np.uint64, shape)
    inputs = (pointer(weights, "uint64_t *"), rows, count, pointer(tables, "uint64_t *"), vectors)
    check(lib.zkds_k_matmul(*inputs, pointer(result, "uint64_t *")), "k_matmul")
    return result


def f_matmul(weights: U64, tables: U64) -> U64:
    """The same for tables of F: (rows, count, 2) pairs times (count, 8 m) uint64 -> (rows, m, 2, 8)."""
    array("weights", weights, np.uint64, (None, None, 2))
    rows, count, _ = weights.shape
    array("tables", tables, np.uint64, (count, None))
    vectors, rest = divmod(tables.shape[1], 8)
    if rest:
        raise ValueError(f"tables: expected a multiple of 8 entries, got {tables.shape[1]}")
    result = np.empty((rows, vectors, 2, 8), dtype=np.uint64)
    inputs = (pointer(weights, "uint64_t *"), rows, count, pointer(tables, "uint64_t *"), vectors)
    check(lib.zkds_f_matmul(*inputs, pointer(result, "uint64_t *")), "f_matmul")
    return result


def f_table(integers: NDArray[np.int64], sides: Sequence[int], table: U64) -> None:
    """Integers above -p and below p as elements of F in the first prod(sides) entries of `table`, zeros beyond their shape.

    integers: any strides; sides: as many, at least the lengths of its shape. table: (n,), C-contiguous.
    """
    if integers.dtype != np.int64 or not 1 <= integers.ndim <= MAX_DIMENSIONS or len(sides) != integers.ndim:
        raise ValueError(f"integers: expected int64 of {len(sides)} dimensions, got {integers.dtype} of {integers.shape}")
    array("table", table, np.uint64, (None,))
    if math.prod(sides) > len(table) or any(side < length for side, length in zip(sides, integers.shape, strict=True)):
        raise ValueError(f"sides: expected {integers.shape} or more, and at most {len(table)} entries, got {tuple(sides)}")
    strides = [stride // integers.itemsize for stride in integers.strides]
    entries = ffi.cast("int64_t *", integers.ctypes.data)
    code = lib.zkds_f_table(entries, integers.ndim, integers.shape, strides, list(sides), pointer(table, "uint64_t *"))
    check(code, "f_table")


def weigh(values: NDArray[np.int64], weights: U64) -> U64:
    """sum_n weights[r, n] values[o, r, n, i], (outer, runs, inner, 2) pairs, for integers above -p and below p.

    values: (outer, runs, n, inner), C-contiguous; weights: (runs, n, 2) pairs, or (1, n, 2) for the same in every run.
    """
    array("values", values, np.int64, (None, None, None, None))
    outer, runs, count, inner = values.shape
    array("weights", weights, np.uint64, (None, count, 2))
    result = np.empty((outer, runs, inner, 2), dtype=np.uint64)
    inputs = (pointer(values, "int64_t *"), outer, runs, count, inner, pointer(weights, "uint64_t *"), len(weights))
    check(lib.zkds_weigh(*inputs, pointer(result, "uint64_t *")), "weigh")
    return result


def k_bind(a: U64, r: U64) -> U64:
    """Bind the lowest vector variable (index bit 3) to the (2,) scalar r: out[v] = a[2v] + r (a[2v+1] - a[2v]).

    a is (m, 2, 8), the result (ceil(m/2), 2, 8); a missing last vector counts as zero.
    """
    array("a", a, np.uint64, BLOCKED)
    array("r", r, np.uint64, (2,))
    result = np.empty((-(-len(a) // 2), 2, 8), dtype=np.uint64)
    code = lib.zkds_k_bind(pointer(a, "uint64_t *"), pointer(r, "uint64_t *"), pointer(result, "uint64_t *"), len(a))
    check(code, "k_bind")
    return result


def table_kind(name: str, table: Any) -> tuple[int, int]:
    """(kind, length in elements) of a table: blocked K (m, 2, 8) uint64, F (n,) uint64 or small integers (n,) uint32.

    Raises TypeError or ValueError, naming the argument, for anything else.
    """
    if isinstance(table, np.ndarray) and table.dtype == np.uint32:
        return int(lib.ZKDS_TABLE_U32), len(array(name, table, np.uint32, (None,)))
    if isinstance(table, np.ndarray) and table.ndim == 1:
        return int(lib.ZKDS_TABLE_F), len(array(name, table, np.uint64, (None,)))
    return int(lib.ZKDS_TABLE_K), 8 * len(array(name, table, np.uint64, BLOCKED))
