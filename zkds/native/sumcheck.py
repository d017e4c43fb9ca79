"""Bindings: the rounds of a sumcheck over the variables of the vectors (index bits 3 and up)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from zkds.native import U64, array, check, ffi, lib, pointer
from zkds.native.field import table_kind

MAX_DEGREE = 4


class VectorRounds:
    """The tables of a sumcheck, bound variable by variable.

    tables  K blocked (m, 2, 8) uint64, F (n,) uint64, or small integers (n,) uint32. K tables are overwritten, so they must be
            writable and must not overlap (ValueError).
    terms   (coefficient as (re, im), indices of the tables)
    """

    def __init__(self, tables: Sequence[Any], terms: Sequence[tuple[tuple[int, int], Sequence[int]]]) -> None:
        self._tables = list(tables)  # keeps the memory alive
        self._kinds = [table_kind(f"tables[{j}]", table) for j, table in enumerate(tables)]
        self._check_in_place()
        self._native_tables = ffi.new("struct zkds_table[]", len(tables))
        self._native_terms = ffi.new("struct zkds_term[]", len(terms))
        for row, (coefficient, factors) in zip(self._native_terms, terms, strict=True):
            row.coefficient = coefficient
            row.factors[0 : len(factors)] = factors
            row.degree = len(factors)

    def _check_in_place(self) -> None:
        ends = {}
        for j, (table, (kind, _)) in enumerate(zip(self._tables, self._kinds, strict=True)):
            if kind != lib.ZKDS_TABLE_K:
                continue
            if not table.flags.writeable:
                raise ValueError(f"tables[{j}]: expected a writable array; tables of K are overwritten")
            ends[j] = (table.ctypes.data, table.ctypes.data + table.nbytes)
        spans = sorted((start, end, j) for j, (start, end) in ends.items() if start < end)
        for (_, end, i), (start, _, j) in pairwise(spans):
            if start < end:
                raise ValueError(f"tables[{i}] and tables[{j}] share memory; tables of K are overwritten")

    def round(self, degree: int, r: U64 | None, eq_point: U64 | None) -> U64:
        """Bind the lowest vector variable to the (2,) scalar r (None: nothing, before the first round), then sum the terms.

        Returns (degree, 2, 8) uint64: for each node 0, infinity, 2, 3, the sums over the pairs of vectors, lane by lane.
        eq_point: (k, 2) pairs for the vector variables beyond the one that this round sends; None: no eq factor.
        """
        bound = self._describe_tables(binding=r is not None)
        message = np.empty((degree, 2, 8), dtype=np.uint64)
        code = lib.zkds_sumcheck_round(
            self._native_tables,
            len(self._tables),
            self._native_terms,
            len(self._native_terms),
            degree,
            ffi.NULL if r is None else pointer(array("r", r, np.uint64, (2,)), "uint64_t *"),
            ffi.NULL if eq_point is None else pointer(array("eq_point", eq_point, np.uint64, (None, 2)), "uint64_t *"),
            0 if eq_point is None else len(eq_point),
            pointer(message, "uint64_t *"),
        )
        check(code, "sumcheck round")
        if r is not None:
            self._tables = bound
            self._kinds = [(lib.ZKDS_TABLE_K, 8 * len(table)) for table in bound]
        return message

    def bind(self, r: U64) -> None:
        """Bind the lowest vector variable to the (2,) scalar r."""
        self.round(0, r, None)

    def _describe_tables(self, binding: bool) -> list[Any]:
        """Describe the tables to the C core; returns the memory of the tables after binding."""
        bound = []
        for row, table, (kind, length) in zip(self._native_tables, self._tables, self._kinds, strict=True):
            row.entries = pointer(table, "void *")
            row.length = length
            row.kind = kind
            row.bound = ffi.NULL
            if binding:
                vectors = -(-length // 16)
                in_place = kind == lib.ZKDS_TABLE_K
                bound.append(table[:vectors] if in_place else np.empty((vectors, 2, 8), dtype=np.uint64))
                row.bound = pointer(bound[-1], "uint64_t *")
        return bound

    def vectors(self) -> list[U64]:
        """The tables as they are now: blocked, (m, 2, 8) uint64, after at least one binding."""
        return self._tables
