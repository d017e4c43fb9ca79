"""The parameters of the Ligero proof over the pads, and the terms that it adds to the soundness budget.

Symbols (all counts):

    k = 2^log_row       a row is a polynomial of degree < k, given by its values on the group H of order k
    l = k - queries     message slots: the first l points of H; the other `queries` slots of a row are uniform
    n = 16 k            length of a codeword: the values at the odd powers of a root of order 2n, disjoint from every H
    e = (n - 2k)/2      errors that are decoded uniquely, in the code of dimension 2k and hence in that of dimension k
    t = queries         opened columns

Rows, in this order: `pad_rows` rows of pads; `product_rows` rows each of left factors, right factors and products; then three
masks, for the low-degree (degree < k), linear and quadratic (degree < 2k) tests.

Soundness, for words that are no codewords too, masks included (BCIKS20 = eprint 2020/654, whose Theorems 1.4 and
1.5 are correlated agreement for lines and curves within the unique decoding radius; Ligero = eprint 2022/1608):

1.  Low-degree test, challenge r: response w = mask + sum_i r^(i+1) row_i. If no set of n - e columns carries codewords of
    dimension k in all rows and the mask, then except with probability rows n/|K| the word is more than e away from every
    codeword, hence from the response. Otherwise the rows decode to unique polynomials W_i on those n - e columns.
2.  Linear test, challenges c then m: response q = mask + m sum_i R_i row_i, with R_i the weights of sum_j c^j equation_j.
    If some equation fails for the messages of W, the combination fails too, except with probability equations/|K|. If q
    is within e of its word, then, except with probability n/|K| over m, the mask and the word sum_i R_i row_i agree
    with polynomials M and S of degree < 2k on n - e columns. At least n - 2e = 2k of these are also columns of 1.,
    where the word is sum_i R_i W_i, so S = sum_i R_i W_i and q = M + m S. Given M, which is fixed before m, the sum of q
    over the message points is the required one for at most one m. Hence (n + 1)/|K|.
3.  Quadratic test, challenges g then m': response mask + m' sum_t g^t (X_t Y_t - Z_t), which must be zero at the message
    points: the same argument, with product_rows/|K| for g.
4.  Queries: if one of the three responses is more than e away from its word, t distinct uniform columns all miss the
    at least e + 1 columns where they differ with probability below ((n - e - 1)/n)^t, about ((1 + 2k/n)/2)^t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from zkds.field import ELEMENT_BYTES
from zkds.soundness import QUERY_BITS, QUERY_GRINDING, ErrorTerm, algebraic

LOG_INVERSE_RATE = 4  # n = 16 k: a tenth fewer proof bytes than 8 k, for codewords of at most twice the length
MAX_LOG_ROW = 20  # n = 2^24, the largest transform
SALT_BYTES = 32
DIGEST_BYTES = 32

LINES = "BCIKS20 (eprint 2020/654), Theorem 1.4 (correlated agreement over lines), unique decoding"
CURVES = "BCIKS20 (eprint 2020/654), Theorem 1.5 (correlated agreement over curves), unique decoding"
SCHWARTZ_ZIPPEL = "Schwartz-Zippel; Ligero (eprint 2022/1608), linear and quadratic tests"


@dataclass(frozen=True)
class LigeroParameters:
    """The sizes of one Ligero proof; a function of the numbers of messages and products alone."""

    messages: int
    products: int
    log_row: int

    @property
    def row(self) -> int:
        """k: values that determine a row."""
        return 1 << self.log_row

    @property
    def log_length(self) -> int:
        return self.log_row + LOG_INVERSE_RATE

    @property
    def length(self) -> int:
        """n: columns of the committed matrix."""
        return 1 << self.log_length

    @property
    def errors(self) -> int:
        """e: columns in which a word may differ from its unique codeword."""
        return (self.length - 2 * self.row) // 2

    @cached_property
    def queries(self) -> int:
        """t: the least number of columns with QUERY_BITS, grinding counted."""
        return math.ceil((QUERY_BITS - QUERY_GRINDING) / self._bits_per_query())

    def _bits_per_query(self) -> float:
        return -math.log2((self.length - self.errors - 1) / self.length)

    @cached_property
    def slots(self) -> int:
        """l: messages in a row; the remaining slots hold as many uniform values as columns are opened."""
        return self.row - self.queries

    @property
    def pad_rows(self) -> int:
        return -(-self.messages // self.slots)

    @property
    def product_rows(self) -> int:
        """Rows of left factors; as many of right factors and of products."""
        return -(-self.products // self.slots)

    @property
    def witness_rows(self) -> int:
        return self.pad_rows + 3 * self.product_rows

    @property
    def rows(self) -> int:
        """All rows of the committed matrix, the three masks included."""
        return self.witness_rows + 3

    @property
    def quadratic_values(self) -> int:
        """Values of the quadratic response that are sent: those on the group of order 2k, message points left out."""
        return 2 * self.row - self.slots

    def estimated_bytes(self) -> int:
        """Bytes of the proof; a little too many for the Merkle paths."""
        responses = (3 * self.row + self.quadratic_values) * ELEMENT_BYTES
        path = max(0, self.log_length - self.queries.bit_length()) * DIGEST_BYTES
        return responses + self.queries * (self.rows * ELEMENT_BYTES + SALT_BYTES + path)

    def low_degree_term(self) -> ErrorTerm:
        return algebraic("Ligero low-degree test", self.witness_rows * self.length, "rows n / |K|", CURVES)

    def equations_term(self, equations: int) -> ErrorTerm:
        return algebraic("Ligero equations", max(1, equations), "equations / |K|", SCHWARTZ_ZIPPEL)

    def linear_mask_term(self) -> ErrorTerm:
        return algebraic("Ligero linear mask", self.length + 1, "(n + 1) / |K|", LINES)

    def products_term(self) -> ErrorTerm:
        return algebraic("Ligero products", max(1, self.product_rows), "product rows / |K|", SCHWARTZ_ZIPPEL)

    def quadratic_mask_term(self) -> ErrorTerm:
        return algebraic("Ligero quadratic mask", self.length + 1, "(n + 1) / |K|", LINES)

    def query_term(self) -> ErrorTerm:
        bits = self.queries * self._bits_per_query()
        formula = "((n - e - 1) / n)^t with e = (n - 2k)/2"
        return ErrorTerm("Ligero queries", bits, formula, "unique decoding; protocol.md, section 9", QUERY_GRINDING)


def choose_parameters(messages: int, products: int) -> LigeroParameters:
    """The row length with the fewest estimated proof bytes; the shorter one of two equal ones.

    Raises ValueError if there is no message or there are too many.
    """
    if messages < 1 or products < 0:
        raise ValueError(f"Ligero: expected at least one message and no negative counts, got {messages} and {products}")
    candidates = [LigeroParameters(messages, products, log_row) for log_row in range(1, MAX_LOG_ROW + 1)]
    return min((c for c in candidates if c.slots >= 1), key=lambda c: (c.estimated_bytes(), c.log_row))
