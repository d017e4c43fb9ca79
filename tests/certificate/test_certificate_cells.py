"""Every cell counts: in a certificate, no committed column can have another value in any entry.

One cell of a column is moved within its range; where it is a row of a table, its other cells become those of the row. The rest
stays as it is, and the claims of the relation must become false.
"""

import functools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.harness.certificates import TINY, Case, cheat
from tests.harness.cheating import false_claims
from tests.harness.sweeps import long_but
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.lookup import RangeTable

pytestmark = pytest.mark.slow

ADAPTIVE = Configuration.of(steps=2, batch_size=1, sharpness="SAM", perturbation="ASAM")
CASES = {
    "dense": TINY,
    "max pool": Case("max"),
    "average pool, ASAM perturbation": Case("average", "normalised images", ADAPTIVE),
    "private model, hidden value": replace(TINY, private=True, tau=Fraction(1 << 11)),
    "evaluations": replace(TINY, evaluations=(("features", 3), ("other features", 5))),
}
SAMPLE = 7  # columns of each case; the whole sweep takes minutes


@functools.cache
def prepared(name):
    """(what a cheating prover starts from, the verifier's relation, lookups by column)"""
    found = cheat(CASES[name])
    lookups = {column: lookup for lookup in found.relation.lookups for column in (lookup.primary, *lookup.secondary)}
    return found, DirectionalSharpness(found.statement), lookups


def moved(cells, lookup, name, generator):
    """{column: cells}: one entry of column `name` moved by one, or to a neighbouring row of its table."""
    index = int(generator.integers(cells[name].size))
    cell = int(cells[name].reshape(-1)[index])
    if lookup is None or name != lookup.primary:  # a selector, or a cell that goes with another one
        changes = {name: cell ^ 1}
    elif isinstance(lookup.table, RangeTable):
        changes = {name: cell + 1 if cell + 1 < lookup.table.rows else cell - 1}
    else:
        columns = lookup.table.columns()
        row = int(np.flatnonzero(columns[0] == cell)[0])
        other = row + 1 if row + 1 < lookup.table.rows else row - 1
        names = (lookup.primary, *lookup.secondary)
        changes = {column: int(values[other]) for column, values in zip(names, columns, strict=True)}
    result = {column: cells[column].copy() for column in changes}
    for column, value in changes.items():
        result[column].reshape(-1)[index] = value
    return result


def unnoticed(name, columns, seed):
    """Those of the columns that could be moved without a false claim."""
    found, verifier, lookups = prepared(name)
    generator = np.random.default_rng(seed)
    return [
        column
        for column in columns
        if not false_claims(
            found.columns | moved(found.columns, lookups.get(column), column, generator), found.relation, verifier
        )
    ]


@pytest.mark.parametrize("name", CASES)
def test_honest_columns_make_no_false_claim(name):
    found, verifier, _ = prepared(name)
    assert false_claims(found.columns, found.relation, verifier) == []


@pytest.mark.parametrize("name", long_but(["dense", "max pool"], CASES))
def test_no_cell_can_be_moved(name):
    columns = list(prepared(name)[0].columns)
    chosen = np.random.default_rng(len(columns)).permutation(len(columns))[:SAMPLE]
    assert unnoticed(name, [columns[i] for i in chosen], seed=1) == []


def test_every_column_is_looked_up_or_a_selector():
    """What no table bounds are the selectors of max pools, which constraints make 0 or 1."""
    for name in CASES:
        found, _, lookups = prepared(name)
        assert {column for column in found.columns if column not in lookups} <= {"max pool 2: mask/0"}
