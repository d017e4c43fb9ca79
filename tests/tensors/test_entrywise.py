"""Carries and digits that are made in one pass over cells, against array after array."""

import numpy as np
import pytest

from tests.harness.carries import carry_values, low_sums, rounding_sums
from tests.harness.certificates import Case, cheat
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.operators.parameter import WeightTensor
from zkds.identities.block import Block
from zkds.identities.rounded_sum import RoundedSum
from zkds.statement import Statement
from zkds.tensors.entrywise import EntrywiseSums
from zkds.tensors.tensor import ColumnReader, VectorReader

CASES = {
    "max": Case("max", configuration=Configuration.of(steps=3, batch_size=2)),
    "dense": Case("dense", "features", Configuration.of(steps=2, batch_size=3, rho="0.001", learning_rate="0.000001")),
}


@pytest.fixture(scope="module", params=CASES)
def readers(request):
    """A relation, with its columns by name and in a vector."""
    found = cheat(CASES[request.param])
    statement = Statement(found.relation)
    vector = statement.vector(found.columns)
    return found.relation, (ColumnReader(found.columns), VectorReader(statement.layout, vector))


def identities(relation):
    """The blocks' identities and the rounded sums: (what makes the carries from a reader, the plan, its low digit sums)."""
    for component in relation.components:
        for block in [component] if isinstance(component, Block) else getattr(component, "blocks", []):
            for identity, plan in zip(block.identities, block.plans, strict=True):
                yield (lambda r, i=identity, p=plan: i.carries(r, p)), plan, (lambda r, n, i=identity: low_sums(i, r, n))
        if isinstance(component, RoundedSum):
            made = lambda r, c=component: [values for _, values in c.witness(r)]  # noqa: E731
            yield made, component.plan, (lambda r, n, c=component: rounding_sums(c, r, n))


def test_carries_are_those_of_the_low_digit_sums(readers):
    relation, both = readers
    for make, plan, sums in identities(relation):
        expected = carry_values(plan, sums(both[0], plan.low_digits))
        for reader in both:
            assert all(map(np.array_equal, make(reader), expected))


def test_weights_in_every_pass_are_sums_of_digits(readers):
    relation, both = readers
    tensors = [tensor for tensor in relation.tensors if isinstance(tensor, WeightTensor)]
    assert tensors
    for tensor in tensors:
        parts = [None if part is None else part.tables(both[0]) for part in tensor._parts]
        for reader in both:
            for j, table in enumerate(tensor.tables(reader)):
                start, updates, perturbations = (0 if p is None or j >= len(p) else p[j] for p in parts)
                for p in range(tensor.shape[0]):
                    step = p if p < tensor.steps else p - tensor.steps
                    expected = start - (updates[:step].sum(axis=0) if np.ndim(updates) else 0)
                    moved = perturbations[step] if p >= tensor.steps and np.ndim(perturbations) else 0
                    assert (table[p] == expected + moved).all()


def test_more_operands_than_the_kernel_takes():
    """Sums of so many digits go on from what they are so far."""
    arrays = [np.arange(6, dtype=np.int64) + k for k in range(300)]
    sums = EntrywiseSums(ColumnReader({}), (6,), range(2))
    for k, array in enumerate(arrays):
        sums.add(k, k % 2, [array])
    for d, found in enumerate(sums.sums()):
        assert (found == sum(k * array for k, array in enumerate(arrays) if k % 2 == d)).all()
