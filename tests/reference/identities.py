"""Integer identities evaluated index by index with Python ints: the twin of what zkds/identities/block.py proves."""

from __future__ import annotations

import itertools

from zkds.identities.expressions import Along, UpTo


def values_of(tensor, columns):
    """A committed tensor's entries, an array of Python ints."""
    total = -tensor.columns.format.offset
    for j, name in enumerate(tensor.columns.names):
        total = total + (columns[name].astype(object) << (16 * j))
    return total


def operand_at(operand, values, index):
    """The operand at an index of the expression's shape, further axes included."""
    ranges = []
    for use, length in zip(operand.uses, operand.tensor.shape, strict=True):
        if isinstance(use, Along):
            ranges.append([(use.start + index[use.axis], 1)])
        elif isinstance(use, UpTo):
            ranges.append([(i, 1) for i in range(index[use.axis] + 1)])
        else:
            ranges.append([(i, use.weights[i]) for i in range(length)])
    total = 0
    for chosen in itertools.product(*ranges):
        weight = 1
        for _, factor in chosen:
            weight *= factor
        if weight:
            total += weight * values[tuple(i for i, _ in chosen)]
    return total


def identity_at(identity, columns, index, cache):
    """The expression's value at one index. `cache` keeps the tensors' entries."""
    total = 0
    for term in identity.expression.terms:
        for inner in itertools.product(*map(range, term.inner)):
            product = term.coefficient
            for operand in term.factors:
                if operand.tensor.name not in cache:
                    cache[operand.tensor.name] = values_of(operand.tensor, columns)
                product *= operand_at(operand, cache[operand.tensor.name], (*index, *inner))
            total += product
    return total


def violations(identities, columns):
    """The names of the identities that do not hold."""
    cache = {}
    return [
        identity.name
        for identity in identities
        if any(identity_at(identity, columns, index, cache) for index in itertools.product(*map(range, identity.shape)))
    ]
