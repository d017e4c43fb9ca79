"""Committed coefficients of several steps, summed over their chunks, as one tensor of digits of identities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkds import sumcheck
from zkds.claims import Claim, Pieces, Value
from zkds.commit.layout import Layout
from zkds.field import ONE, ZERO, K, dot
from zkds.identities.digit_polynomials import HALF
from zkds.integers.limb_columns import Points
from zkds.integers.limbs import I64
from zkds.tensors.axes import EqAxis, split_point, variables
from zkds.tensors.field_tables import field_table
from zkds.tensors.tensor import Book, Combination, Committed, ProverContext, Reader, Tensor, TensorClaim, VerifierContext


class CoefficientSums(Tensor):
    """(terms, steps): sum_c steps[t][m, c], digit by digit; never committed.

    steps   for each step (terms, chunks), all of one format, in limbs of 16 bits
    Claims become one by a sumcheck, at a point; the sum over all chunks is 2^k times the value at the point (1/2, ..., 1/2), so
    that it is a claim on the vector.
    """

    def __init__(self, name: str, steps: Sequence[Committed]) -> None:
        self.name = name
        self.sources = tuple(steps)
        self.shape = (steps[0].shape[0], len(steps))
        most = max(step.shape[1] for step in steps)
        self.interval = steps[0].interval.times(most)
        self.digits = tuple(digit.times(most).with_zero() for digit in steps[0].digits)

    def tables(self, reader: Reader) -> list[I64]:
        result = [np.zeros(self.shape, dtype=np.int64) for _ in self.digits]
        for t, step in enumerate(self.sources):
            assert isinstance(step, Committed)
            number, chunks = step.columns.format, step.shape[1]
            for j, (total, name) in enumerate(zip(result, step.columns.names, strict=True)):
                offset = number.top_offset if j == number.limbs - 1 else 0
                total[:, t] = reader.read(name).sum(axis=1, dtype=np.int64) - np.int64(offset * chunks)
        return result

    def prove_claims(self, context: ProverContext) -> None:
        claims = context.book.take(self)
        if not claims:
            return
        combination = Combination.draw(context, self, claims)
        digits = [field_table(digit) for digit in self.tables(context.reader)]
        count = len(digits)
        terms = [(ONE, (j, count + j)) for j in range(count)]
        tables = [*combination.weight_tables(), *digits]
        point, finals = sumcheck.prove(context.channel, tables, terms, name=self.name, variables=variables(self.shape))
        points = split_point(self.shape, point)
        weights = combination.weights_at(points)
        self._add(context.book, context.layout, points, weights, dot(weights, finals[count:]))

    def verify_claims(self, context: VerifierContext) -> None:
        claims = context.book.take(self)
        if not claims:
            return
        combination = Combination.draw(context, self, claims)
        point, final = sumcheck.verify(context.channel, combination.value, variables(self.shape), 2, name=self.name)
        points = split_point(self.shape, point)
        self._add(context.book, context.layout, points, combination.weights_at(points), final)

    def _add(self, book: Book[Value], layout: Layout, points: Points, weights: Sequence[K], value: Value) -> None:
        """One claim on the vector: sum_t eq(point, t) 2^k_t (limbs of step t at the terms' point and at 1/2)."""
        by_step = EqAxis(self.shape[1], tuple(points[1])).vector().tolist()
        claims: list[Claim[K]] = []
        for step, pair in zip(self.sources, by_step, strict=True):
            assert isinstance(step, Committed)
            bits = (step.shape[1] - 1).bit_length()
            own = [K(*pair) * (1 << bits) * limb for limb in weights]
            axes = (EqAxis(self.shape[0], tuple(points[0])), EqAxis(step.shape[1], (HALF,) * bits))
            claims.append(step.vector_claim(layout, TensorClaim(axes, tuple(own), ZERO)))
            value = value + claims[-1].value
        book.vector_claims.append(Claim(lambda: Pieces.joined([claim.pieces for claim in claims]), value))
