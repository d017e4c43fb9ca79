"""Random expressions of every kind in one block, through whole proofs, against their values by Python ints."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from tests.harness.blocks_relation import BlocksRelation
from tests.harness.whole_proof import reject
from tests.reference.identities import identity_at, violations
from zkds.identities.block import Block
from zkds.identities.expressions import Along, Expression, Identity, Over, UpTo, tensor
from zkds.identities.gadget import Gadget, make_blocks
from zkds.prover import prove
from zkds.tensors.linear import base_digits
from zkds.verifier import verify

pytestmark = pytest.mark.slow


class RandomBlock:
    """Tensors of random shapes, formats and entries, and identities that set random expressions equal to committed results."""

    def __init__(self, seed: int, summed: bool) -> None:
        self.rng = random.Random(seed)
        self.gadget = Gadget("random")
        self.sources = [self._source(f"t{i}") for i in range(4)]
        self.columns = {}
        generator = np.random.default_rng(seed)
        for source in self.sources:
            interval = source.interval
            values = generator.integers(interval.low, interval.high, source.shape, endpoint=True)
            self.columns |= source.columns.split(values)
        for i in range(3):
            self._state(f"identity {i}", summed)
        self.block: Block = make_blocks([self.gadget])[0]
        self.relation = BlocksRelation([self.block], self.gadget.tensors, self.gadget.lookups)

    def _source(self, name):
        shape = tuple(self.rng.randint(1, 5) for _ in range(self.rng.randint(1, 3)))
        return self.gadget.integer(name, self.rng.choice([1, 16, 17, 33, 44]), shape, self.rng.random() < 0.7)

    def _operand(self, shape, covered):
        """A random operand over `shape`; `covered` are axes that it must use: axes of the tensor are made to fit."""
        sizes, uses, free = [], [], [a for a in range(len(shape)) if a in covered or self.rng.random() < 0.6]
        for axis in free:
            uses.append(self._use(axis, shape[axis], sizes))
        if self.rng.random() < 0.5:
            length = self.rng.randint(1, 3)
            sizes.append(length)
            uses.append(Over(tuple(self.rng.randint(-3, 3) for _ in range(length))))
        if not sizes:
            sizes, uses = [1], [Over((1,))]
        order = self.rng.sample(range(len(sizes)), len(sizes))
        source = self._fresh(tuple(sizes[i] for i in order))
        return tensor(source, *(uses[i] for i in order))

    def _use(self, axis, length, sizes):
        if self.rng.random() < 0.3:
            sizes.append(length)
            return UpTo(axis)
        start = self.rng.randint(0, 2)
        sizes.append(start + length + self.rng.randint(0, 1))
        return Along(axis, start)

    def _fresh(self, shape):
        """A tensor of this shape: an old one if there is one."""
        old = [source for source in self.sources if source.shape == shape]
        if old:
            return self.rng.choice(old)
        source = self.gadget.integer(f"t{len(self.sources)}", self.rng.choice([1, 16, 30, 44]), shape, self.rng.random() < 0.7)
        interval = source.interval
        values = np.array([self.rng.randint(interval.low, interval.high) for _ in range(int(np.prod(shape)))], dtype=np.int64)
        self.columns |= source.columns.split(values.reshape(shape))
        self.sources.append(source)
        return source

    def _coefficient(self):
        return self.rng.choice([1, -1, 1 << 16, self.rng.randint(-(2**40), 2**40), self.rng.randint(-9, 9)])

    def _state(self, name, summed):
        shape = tuple(self.rng.randint(1, 5) for _ in range(self.rng.randint(1, 2)))
        parts: list[Expression] = [self._operand(shape, set()) * self._coefficient() for _ in range(2)]
        for _ in range(3):
            inner = tuple(self.rng.randint(1, 3) for _ in range(self.rng.randint(0, 2))) if summed else ()
            whole, extra = (*shape, *inner), set(range(len(shape), len(shape) + len(inner)))
            product = self._operand(whole, extra) * self._operand(whole, set())
            parts.append((product.summed(*inner) if inner else product) * self._coefficient())
        exact = sum(parts[1:], parts[0]) + self.rng.randint(-(2**70), 2**70)
        values = np.empty(shape, dtype=object)
        probe = Identity(name, shape, exact)
        for index in itertools.product(*map(range, shape)):
            values[index] = identity_at(probe, self.columns, index, {})
        width = probe.intervals()[1].magnitude().bit_length() + 1
        result, offset = self.gadget.wide(f"result of {name}", width, shape), 1 << width - 1
        self.columns |= result.split(values + offset)
        self.gadget.identity("block", name, shape, exact + offset - result.expression())


@pytest.mark.parametrize("summed", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_random_expressions(seed, summed):
    example = RandomBlock(seed, summed)
    columns = example.relation.complete(example.columns)
    assert violations(example.block.identities, columns) == []
    assert verify(prove(example.relation, columns, zero_knowledge=False), example.relation, allow_plain=True).bits >= 100
    name = example.gadget.tensors[-1].columns.names[0]
    cells = columns[name].copy()
    cells.flat[-1] ^= 1
    plain = prove(example.relation, columns | {name: cells}, zero_knowledge=False)
    assert reject(plain, example.relation, allow_plain=True).reason == "batching: final claim"


def test_digits_of_coefficients():
    for number in (0, 1, -1, 2**16, -(2**16), 2**50 + 12345, -(2**100) + 7):
        digits = base_digits(number)
        assert sum(digit << 16 * s for s, digit in digits) == number
        assert all(abs(digit) < 2**16 and digit * number > 0 for _, digit in digits)
