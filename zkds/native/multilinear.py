"""Bindings: tables of eq and evaluation of multilinear extensions. Points are (n, 2) uint64 pairs."""

from typing import Any

import numpy as np

from zkds.native import U64, array, check, lib, pointer
from zkds.native.field import table_kind

MAX_VARIABLES = 40


def _point(point: U64) -> int:
    variables = len(array("point", point, np.uint64, (None, 2)))
    if variables > MAX_VARIABLES:
        raise ValueError(f"point: expected at most {MAX_VARIABLES} coordinates, got {variables}")
    return variables


def eq_table(point: U64, scale: U64) -> U64:
    """scale * eq(point, x) for all x, blocked; with fewer than 3 variables the rest of the one vector is zero."""
    variables = _point(point)
    array("scale", scale, np.uint64, (2,))
    result = np.empty((max(1, 2**variables // 8), 2, 8), dtype=np.uint64)
    code = lib.zkds_eq_table(
        pointer(point, "uint64_t *"), variables, pointer(scale, "uint64_t *"), pointer(result, "uint64_t *")
    )
    check(code, "eq_table")
    return result


def evaluate(table: Any, point: U64) -> U64:
    """The multilinear extension of a K, F or uint32 table at a point, as a (2,) scalar; entries that are missing are zero."""
    kind, length = table_kind("table", table)
    variables = _point(point)
    if length > (max(8, 2**variables) if kind == lib.ZKDS_TABLE_K else 2**variables):
        raise ValueError(f"table: expected at most 2^{variables} entries, got {length}")
    result = np.empty(2, dtype=np.uint64)
    code = lib.zkds_evaluate(
        pointer(table, "void *"), kind, length, pointer(point, "uint64_t *"), variables, pointer(result, "uint64_t *")
    )
    check(code, "evaluate")
    return result
