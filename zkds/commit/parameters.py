"""The sizes of a commitment and its opening: a deterministic public function of the number of cells.

The verifier computes the parameters itself; a proof carries none. `Parameters.encode` belongs in the statement.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from zkds.soundness import QUERY_BITS, QUERY_GRINDING, ErrorTerm, algebraic

MAX_CELLS = 1 << 40
LOG_ROWS = 6  # rows of cells aimed at: a column costs bytes per row, the recursion almost nothing per point
LOG_BALANCE = 3  # without recursion the row is sent: rows of about 2^3 sqrt(cells) cells balance it with the columns
MIN_LOG_DATA, MAX_LOG_DATA = 8, 21  # a transform of 2^23 points and more would leave the caches too often to pay
LARGE_LOG_DATA = 13  # from here on rate 1/2, for speed; below, rate 1/4, for size
CLEAR_LOG_DATA = 12  # a vector of at most 2^12 elements is sent instead of committed
LOG_FOLD = 4  # rows of a recursive commitment: 2^4
FIRST_RECURSIVE_LOG_RATE, RECURSIVE_LOG_RATE = 2, 3

PROXIMITY_GAP = "proximity gap of tensor combinations up to unique decoding; Diamond, Gruen, eprint 2024/1351"
UNIQUE_DECODING = "unique decoding radius; protocol.md, section 8"


@dataclass(frozen=True)
class Code:
    """One committed matrix: `rows` polynomials over K of degree below k = 2^log_data + tail at n = 2^log_size points.

    Columns are pairs of points (w, 1/w), so two distinct codewords differ in more than n/2 - k/2 of the n/2 columns.
    `queries` columns are opened.
    """

    rows: int
    log_data: int
    tail: int
    log_size: int
    queries: int

    @property
    def points(self) -> int:
        return 1 << self.log_size

    @property
    def columns(self) -> int:
        return 1 << self.log_size - 1

    def query_term(self, name: str) -> ErrorTerm:
        """A word farther than half the distance from the code escapes one query with (1 + (k - 1)/n)/2."""
        bits = self.queries * _query_bits((1 << self.log_data) + self.tail, self.log_size)
        return ErrorTerm(name, bits, "((1 + (k-1)/n)/2)^q", UNIQUE_DECODING, QUERY_GRINDING)

    def combination_term(self, name: str, degree: int = 0) -> ErrorTerm:
        """A challenge that combines rows, and binds a polynomial of this degree besides (0: none)."""
        formula = f"({degree} + n)/|K|" if degree else "n/|K|"
        return algebraic(name, degree + self.points, formula, PROXIMITY_GAP)


@dataclass(frozen=True)
class Parameters:
    """All sizes for a vector of `cells` cells: the code of the vector, then those of the recursive opening."""

    cells: int
    code: Code
    recursion: tuple[Code, ...]

    @property
    def packed_rows(self) -> int:
        return self.code.rows - 1

    @property
    def variables(self) -> int:
        """Coordinates of the point rho at which the vector is opened; at least code.log_data."""
        return max(self.code.log_data, (self.cells - 1).bit_length())

    def row_term(self, bit: int) -> ErrorTerm | None:
        """The term of drawing rho[bit]: a combination of committed rows for the bits of the row number, else None."""
        return None if bit < self.code.log_data else self.code.combination_term("row combination")

    def encode(self) -> bytes:
        numbers = [self.cells, len(self.recursion)]
        for code in (self.code, *self.recursion):
            numbers += [code.rows, code.log_data, code.tail, code.log_size, code.queries]
        return b"".join(number.to_bytes(8, "little") for number in numbers)


@functools.cache
def choose(cells: int) -> Parameters:
    """The parameters for a vector of `cells` cells, 1 <= cells <= 2^40."""
    if not isinstance(cells, int):
        raise TypeError(f"cells: expected an int, got {type(cells).__name__}")
    if not 1 <= cells <= MAX_CELLS:
        raise ValueError(f"cells: expected 1 to 2^40, got {cells}")
    log_cells = (cells - 1).bit_length()
    balanced = min(CLEAR_LOG_DATA, (log_cells + 1) // 2 + LOG_BALANCE)
    log_data = min(MAX_LOG_DATA, max(MIN_LOG_DATA, balanced, log_cells - LOG_ROWS))
    packed_rows = -(-cells // (2 << log_data))
    code = make_code(packed_rows + 1, log_data, 1 if log_data >= LARGE_LOG_DATA else 2, padded=True)
    recursion: list[Code] = []
    while log_data > CLEAR_LOG_DATA:
        log_data -= LOG_FOLD
        log_rate = RECURSIVE_LOG_RATE if recursion else FIRST_RECURSIVE_LOG_RATE
        recursion.append(make_code(1 << LOG_FOLD, log_data, log_rate, padded=False))
    return Parameters(cells, code, tuple(recursion))


def make_code(rows: int, log_data: int, log_rate: int, padded: bool) -> Code:
    """The smallest code of at most this rate that has enough queries; `padded`: two coefficients of padding a query."""
    log_size = log_data + log_rate
    while (queries := _queries(log_data, log_size, padded)) is None:
        log_size += 1
    return Code(rows, log_data, 2 * queries if padded else 0, log_size, queries)


def _queries(log_data: int, log_size: int, padded: bool) -> int | None:
    """The smallest number of queries that reaches QUERY_BITS, at the true rate, or None if there is none."""
    for queries in range(1, 1 << log_size - 1):
        length = (1 << log_data) + (2 * queries if padded else 0)
        if length >= 1 << log_size:
            return None
        if queries * _query_bits(length, log_size) + QUERY_GRINDING >= QUERY_BITS:
            return queries
    return None


def _query_bits(length: int, log_size: int) -> float:
    """-log2 of the chance that one query misses a word outside the unique decoding radius."""
    return 1 - math.log2(1 + (length - 1) / (1 << log_size))
