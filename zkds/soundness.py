"""The soundness budget: one labelled term for each verifier message, added up and enforced.

A challenge cannot be drawn without the `ErrorTerm` of what it protects: the channel takes the term, grinds for its
`grinding` bits, and records it. The verifier therefore holds, at the end, the complete list of what could have gone wrong, and
`Budget.require` refuses a total below `TARGET_BITS`. The prover learns the same terms in advance from a dry run of the
verifier. Non-interactive (Fiat-Shamir) soundness is counted in the round-by-round way: a term with error eps and g bits
of grinding costs an attacker 2^g / eps hash calls, and the total is -log2 sum 2^-(bits + grinding).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from zkds.errors import InsufficientSecurity
from zkds.field import P

TARGET_BITS = 100.0  # what every accepted proof has, grinding included
ALGEBRAIC_BITS = 108  # grinding fills a field term up to this; a proof has a few dozen terms that need it
QUERY_BITS = 103.0  # each set of code queries, grinding included; a proof has at most six
QUERY_GRINDING = 16  # proof-of-work bits before query positions
MAX_GRINDING = 24  # more than this per challenge is refused: it would buy security with the prover's patience
LOG2_K = 2 * math.log2(P)  # log2 |K|, about 122


@dataclass(frozen=True)
class ErrorTerm:
    """One way in which a false statement may survive one verifier message.

    name      what the message is, for example "sumcheck round"
    bits      -log2 of the error, without grinding
    formula   the error as a formula
    source    the theorem or section that it is from
    grinding  proof-of-work bits spent before the message
    """

    name: str
    bits: float
    formula: str
    source: str
    grinding: int = 0

    @property
    def total_bits(self) -> float:
        return self.bits + self.grinding


def algebraic(name: str, numerator: float, formula: str, source: str) -> ErrorTerm:
    """The term of a challenge in K with error `numerator` / |K|, with the grinding that brings it to ALGEBRAIC_BITS."""
    bits = LOG2_K - math.log2(numerator)
    grinding = max(0, math.ceil(ALGEBRAIC_BITS - bits))
    if grinding > MAX_GRINDING:
        raise InsufficientSecurity(f"{name}: grinding", f"at most {MAX_GRINDING} bits", grinding)
    return ErrorTerm(name, bits, formula, source, grinding)


HASH_COLLISION = ErrorTerm(
    "SHA-256 collision",
    128.0,
    "2^-128 a hash call, by the birthday bound",
    "binding of Merkle trees; FIPS 180-4, section 1",
)


def total_bits(terms: Iterable[ErrorTerm]) -> float:
    """-log2 of the sum of the terms' errors, grinding included; infinity for no terms."""
    error = sum(2.0**-term.total_bits for term in terms)
    return -math.log2(error) if error else math.inf


@dataclass(frozen=True)
class BudgetLine:
    """All terms of one name: their number, the weakest, and the bits of their sum."""

    name: str
    count: int
    weakest: ErrorTerm
    total_bits: float


class Budget:
    """The terms of one proof, in the order in which their challenges were drawn."""

    def __init__(self) -> None:
        self.terms: list[ErrorTerm] = []

    def add(self, term: ErrorTerm) -> None:
        self.terms.append(term)

    def total_bits(self) -> float:
        return total_bits(self.terms)

    def lines(self) -> list[BudgetLine]:
        """The terms grouped by name, weakest group first."""
        groups: dict[str, list[ErrorTerm]] = {}
        for term in self.terms:
            groups.setdefault(term.name, []).append(term)
        lines = [
            BudgetLine(name, len(terms), min(terms, key=lambda t: t.total_bits), total_bits(terms))
            for name, terms in groups.items()
        ]
        return sorted(lines, key=lambda line: line.total_bits)

    def require(self, target: float = TARGET_BITS) -> float:
        """The total, if it reaches the target; raises InsufficientSecurity otherwise."""
        total = self.total_bits()
        if not total >= target:  # a total that is not a number does not pass either
            raise InsufficientSecurity("soundness budget", f"at least {target} bits", f"{total:.2f} bits")
        return total
