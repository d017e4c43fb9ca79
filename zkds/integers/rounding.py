"""The rounding gadget: committed out, rem and carries for a virtual tensor of sums of products (protocol.md, section 3).

The relation is (1) of plan.py for every entry of a tensor. At a challenge gamma and a point z of the tensor's index, both drawn
after the root of the commitment, it reads

    C~(gamma, z) = (gamma - 2^l) Q~(gamma, z) - half(gamma) ones~(z)
                   + Rem~(gamma, z) + 2^(s mod l) gamma^(s div l) Out~(gamma, z)

and this *defines* C~(gamma, z): a linear functional of committed columns plus a public constant. The prover sends the value c
hidden, `sum_claim` ties it to the columns, and the relation that uses the gadget proves c = C~(gamma, z) from its own factors
by a sumcheck. If an entry violates (1) modulo p, then (right side) - C~ is a nonzero polynomial of degree <= `plan.degree` in
gamma and linear in each coordinate of z: error degree/|K| for gamma and 1/|K| for each coordinate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkds.channel import ProverChannel, VerifierEnd
from zkds.claims import Claim, Value
from zkds.commit.layout import Column, Layout
from zkds.field import K, dot, powers
from zkds.integers.limb_columns import LimbColumns, Points
from zkds.integers.limbs import I64, require_fit
from zkds.integers.plan import RoundingPlan
from zkds.native import U32
from zkds.soundness import ErrorTerm, algebraic

SCHWARTZ_ZIPPEL = "Schwartz-Zippel lemma; protocol.md, section 3"


class Rounding:
    """One rounded tensor: the columns of out, rem and carries, their witness and their one claim."""

    def __init__(self, name: str, plan: RoundingPlan, shape: tuple[int, ...]) -> None:
        self.name = name
        self.plan = plan
        self.shape = shape
        self.output = LimbColumns(f"{name}: output", plan.output, shape)
        self.remainder = LimbColumns(f"{name}: remainder", plan.remainder, shape)
        self.carries = [LimbColumns(f"{name}: carry {j}", carry, shape) for j, carry in enumerate(plan.carries)]

    @property
    def parts(self) -> list[LimbColumns]:
        """out, rem, q_0, q_1, ..."""
        return [self.output, self.remainder, *self.carries]

    @property
    def columns(self) -> list[Column]:
        return [column for part in self.parts for column in part.columns]

    @property
    def widths(self) -> dict[str, int]:
        """Column name -> the width that its range check has to enforce."""
        return {name: width for part in self.parts for name, width in part.widths.items()}

    def witness(self, coefficients: Sequence[I64]) -> tuple[I64, dict[str, U32]]:
        """(the rounded values, all columns) from the coefficients of C(X), each an int64 array of the shape.

        Raises WitnessOverflow, naming the tensor and the first index, if a rounded value does not fit its width.
        """
        padded = list(coefficients) + [np.zeros(self.shape, dtype=np.int64)] * (self.plan.degree + 1 - len(coefficients))
        output, remainder = self._round(padded)
        columns = self.output.split(output) | self.remainder.split(remainder)
        for part, carry in zip(self.carries, self._carries(padded, columns), strict=True):
            columns |= part.split(carry)
        return output, columns

    def _round(self, coefficients: Sequence[I64]) -> tuple[I64, I64]:
        """out = floor((C + half) / 2^s) and rem = (C + half) mod 2^s, by digits of l bits."""
        limb_bits, shift = self.plan.limb_bits, self.plan.shift
        digits, carry = [], np.zeros(self.shape, dtype=np.int64)
        for coefficient, half in zip(coefficients, self.plan.half_coefficients, strict=True):
            carry = carry + coefficient + np.int64(half)
            digits.append(carry & np.int64((1 << limb_bits) - 1))
            carry = carry >> np.int64(limb_bits)
        whole, bits = divmod(shift, limb_bits)
        remainder = digits[whole] & np.int64((1 << bits) - 1)
        for digit in reversed(digits[:whole]):
            remainder = (remainder << np.int64(limb_bits)) | digit
        output = carry
        for digit in reversed(digits[whole + 1 :]):
            output = self._append(output, digit, limb_bits)
        return self._append(output, digits[whole] >> np.int64(bits), limb_bits - bits), remainder

    def _append(self, high: I64, digit: I64, bits: int) -> I64:
        """2^bits high + digit, which fits int64 if the output fits its width."""
        limit = np.int64(1 << (62 - bits))
        require_fit(self.output.name, (-limit <= high) & (high < limit), self.plan.output.width)
        return (high << np.int64(bits)) + digit

    def _carries(self, coefficients: Sequence[I64], columns: dict[str, U32]) -> list[I64]:
        """q_0 = -d_0 / 2^l, q_j = (q_(j-1) - d_j) / 2^l, exact divisions."""
        whole, bits = divmod(self.plan.shift, self.plan.limb_bits)
        differences = [c + np.int64(half) for c, half in zip(coefficients, self.plan.half_coefficients, strict=True)]
        for j, limb in enumerate(self.plan.remainder.coefficients(self.remainder.limbs(columns))):
            differences[j] = differences[j] - limb
        for j, limb in enumerate(self.plan.output.coefficients(self.output.limbs(columns))):
            differences[whole + j] = differences[whole + j] - (limb << np.int64(bits))
        carries, carry = [], np.zeros(self.shape, dtype=np.int64)
        for difference in differences[:-1]:
            carry = (carry - difference) >> np.int64(self.plan.limb_bits)
            carries.append(carry)
        return carries

    def gamma_term(self) -> ErrorTerm:
        """The budget term of gamma: two polynomials of degree `plan.degree` that differ agree at no more points."""
        return algebraic(f"{self.name}: gamma", self.plan.degree, "deg_X / |K|", SCHWARTZ_ZIPPEL)

    def draw(self, channel: ProverChannel | VerifierEnd) -> tuple[K, tuple[tuple[K, ...], ...]]:
        """(gamma, z): the challenges of the relation, z with ceil(log2 d) coordinates for each dimension d."""
        gamma = channel.challenge(self.gamma_term())
        term = point_term(self.name)
        return gamma, tuple(tuple(channel.challenge(term) for _ in range((d - 1).bit_length())) for d in self.shape)

    def sum_claim(self, layout: Layout, gamma: K, points: Points, value: Value) -> Claim[Value]:
        """The claim on the columns that says value = C~(gamma, z), as the relation defines it."""
        plan = self.plan
        base = K(1 << plan.limb_bits)
        output_scale = gamma ** (plan.shift // plan.limb_bits) * (1 << plan.shift % plan.limb_bits)
        carry_scales = [(gamma - base) * power for power in powers(gamma, len(self.carries))]
        pieces = self.output.pieces(layout, gamma, points, output_scale) + self.remainder.pieces(layout, gamma, points)
        constant = dot(powers(gamma, plan.degree + 1), plan.half_coefficients) + output_scale * self.output.offset(gamma)
        for carry, scale in zip(self.carries, carry_scales, strict=True):
            pieces += carry.pieces(layout, base, points, scale)
            constant = constant + scale * carry.offset(base)
        return Claim(pieces, value + self.output.ones(points) * constant)


def point_term(name: str) -> ErrorTerm:
    """The budget term of one coordinate of a random point at which a multilinear identity is checked."""
    return algebraic(f"{name}: point", 1, "1 / |K|", SCHWARTZ_ZIPPEL)
