"""Bindings: the rounds of a sumcheck over the variables of the vectors (index bits 3 and up)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from zkds.native import U64, array, check, ffi, lib, pointer
from zkds.native.field import table_kind

MAX_DEGREE = 4
LANE_VARIABLES = 3

NativeTerm: TypeAlias = tuple[tuple[int, int], Sequence[int]]  # coefficient as (re, im), indices of the tables


class VectorRounds:
    """The tables of a sumcheck, bound variable by variable, from index bit 3 up.

    tables     K blocked (m, 2, 8) uint64, F (n,) uint64, or small integers (n,) uint32, of at most 2^variables elements.
               K tables are overwritten, so they must be writable and must not overlap (ValueError).
    terms      neighbours of equal coefficient share its multiplication
    eq_point   (variables, 2) pairs, or None
    """

    def __init__(
        self,
        tables: Sequence[Any],
        terms: Sequence[NativeTerm],
        variables: int,
        eq_point: U64 | None = None,
    ) -> None:
        kinds = [table_kind(f"tables[{j}]", table) for j, table in enumerate(tables)]
        _check_in_place(tables, [kind == lib.ZKDS_TABLE_K for kind, _ in kinds])
        self._variables = variables
        self._bit = LANE_VARIABLES
        self._degree = max((len(factors) for _, factors in terms), default=0)
        self._eq_point = None if eq_point is None else array("eq_point", eq_point, np.uint64, (variables, 2))
        self._tables = list(tables)  # keeps the memory alive
        self._bound = []
        self._native_tables = ffi.new("struct zkds_table[]", len(tables))
        for row, table, (kind, length) in zip(self._native_tables, tables, kinds, strict=True):
            in_place = kind == lib.ZKDS_TABLE_K
            self._bound.append(table if in_place else np.empty((-(-length // 16), 2, 8), dtype=np.uint64))
            row.entries = pointer(table, "void *")
            row.bound = pointer(self._bound[-1], "uint64_t *")
            row.length = length
            row.kind = kind
        self._native_terms = _native_terms(terms)

    def first(self) -> U64:
        """The sums of the first round, at the nodes 0, infinity, 2, 3: (degree, 2) pairs."""
        return self._round(ffi.NULL, self._degree)

    def at_nodes(self, count: int) -> U64:
        """The sums of the first round at the first `count` of the nodes 0, infinity, 2, 3, above the degree too: (count, 2)."""
        return self._round(ffi.NULL, count)

    def next(self, r: tuple[int, int]) -> U64:
        """Bind the current variable to r, then the sums of the next round: (degree, 2) pairs."""
        self._bit += 1
        return self._round(r, self._degree)

    def finish(self, r: tuple[int, int]) -> list[U64]:
        """Bind the last variable to r. Returns the tables, of one vector each (none if the table was empty)."""
        self._bit += 1
        self._round(r, 0)
        return [table[: row.length // 8] for table, row in zip(self._bound, self._native_tables, strict=True)]

    def _round(self, r: Any, degree: int) -> U64:
        message = np.empty((degree, 2), dtype=np.uint64)
        code = lib.zkds_sumcheck_round(
            self._native_tables,
            len(self._tables),
            self._native_terms,
            len(self._native_terms),
            degree,
            r,
            ffi.NULL if self._eq_point is None else pointer(self._eq_point, "uint64_t *"),
            self._variables,
            self._bit,
            pointer(message, "uint64_t *"),
        )
        check(code, "sumcheck round")
        return message


class LaneRounds:
    """The last rounds: tables of 2^lanes entries in one vector each, bound from index bit 0 up.

    vectors   (tables, 2, 8) uint64, overwritten; only the first 2^lanes entries of each count
    eq_point  (lanes, 2) pairs, or None
    """

    def __init__(self, vectors: U64, terms: Sequence[NativeTerm], lanes: int, eq_point: U64 | None = None) -> None:
        self._vectors = array("vectors", vectors, np.uint64, (None, 2, 8))
        self._terms = _native_terms(terms)
        self._degree = max((len(factors) for _, factors in terms), default=0)
        self._lanes = lanes
        self._eq_point = None if eq_point is None else array("eq_point", eq_point, np.uint64, (lanes, 2))
        self._bit = 0

    def first(self) -> U64:
        """The sums of the first round, at the nodes 0, infinity, 2, 3: (degree, 2) pairs."""
        return self._round(ffi.NULL)

    def next(self, r: tuple[int, int]) -> U64:
        """Bind the current variable to r, then the sums of the next round: (degree, 2) pairs."""
        self._bit += 1
        return self._round(r)

    def finish(self, r: tuple[int, int]) -> U64:
        """Bind the last variable to r. Returns the values of the tables: (tables, 2) pairs."""
        self._bit += 1
        self._round(r)
        return self._vectors[:, :, 0]

    def _round(self, r: Any) -> U64:
        message = np.empty((self._degree, 2), dtype=np.uint64)
        code = lib.zkds_sumcheck_lane_round(
            pointer(self._vectors, "uint64_t *"),
            len(self._vectors),
            self._terms,
            len(self._terms),
            self._degree,
            r,
            ffi.NULL if self._eq_point is None else pointer(self._eq_point, "uint64_t *"),
            self._lanes,
            self._bit,
            pointer(message, "uint64_t *"),
        )
        check(code, "sumcheck lane round")
        return message


def _native_terms(terms: Sequence[NativeTerm]) -> Any:
    rows = ffi.new("struct zkds_term[]", len(terms))
    for row, (coefficient, factors) in zip(rows, terms, strict=True):
        row.coefficient = coefficient
        row.factors[0 : len(factors)] = factors
        row.degree = len(factors)
    return rows


def _check_in_place(tables: Sequence[Any], in_place: Sequence[bool]) -> None:
    spans = []
    for j, table in enumerate(tables):
        if in_place[j]:
            if not table.flags.writeable:
                raise ValueError(f"tables[{j}]: expected a writable array; tables of K are overwritten")
            spans.append((table.ctypes.data, table.ctypes.data + table.nbytes, j))
    for (_, end, i), (start, _, j) in pairwise(sorted(span for span in spans if span[0] < span[1])):
        if start < end:
            raise ValueError(f"tables[{i}] and tables[{j}] share memory; tables of K are overwritten")
