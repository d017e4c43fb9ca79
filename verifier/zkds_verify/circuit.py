"""What follows from a list of components: the order of tensors, of columns, of lookups, of claims.

Written from docs/specification, section 20.
"""

from heapq import heapify, heappop, heappush

from zkds_verify.claims_ledger import reduce_committed
from zkds_verify.rejection import sound


def tensors_of(components):
    """Every tensor where it appears first: the components' in order, behind each what it is made of."""
    found = {}

    def visit(tensor):
        if tensor.name not in found:
            found[tensor.name] = tensor
            for source in tensor.sources:
                visit(source)
        sound(found[tensor.name] is tensor, tensor.name)

    for component in components:
        for tensor in component.tensors:
            visit(tensor)
    return list(found.values())


def columns_of(components):
    return [(name, tensor.shape) for tensor in tensors_of(components) for name, _ in tensor.columns]


def ranges(tensors):
    """In the table of the cell's width; balanced digits name their own."""
    columns = [column for tensor in tensors for column in tensor.columns if column[1] is not None]
    return [(table if isinstance(table, tuple) else ("range", table), name, ()) for name, table in columns]


def lookups_of(components):
    """Those of the components, then a range check of every column that has none and needs one."""
    first = [lookup for component in components for lookup in component.lookups]
    named = {name for _, primary, secondary in first for name in (primary, *secondary)}
    return first + [lookup for lookup in ranges(tensors_of(components)) if lookup[1] not in named]


def claim_order(components):
    """Again and again the first of the tensors that none of the others left is made of."""
    tensors = tensors_of(components)
    places, uses = {tensor.name: i for i, tensor in enumerate(tensors)}, [0] * len(tensors)
    for tensor in tensors:
        for name in {source.name for source in tensor.sources}:
            uses[places[name]] += 1
    free, order = [i for i, count in enumerate(uses) if not count], []
    heapify(free)
    while free:
        order.append(tensors[heappop(free)])
        for name in {source.name for source in order[-1].sources}:
            uses[places[name]] -= 1
            if not uses[places[name]]:
                heappush(free, places[name])
    return order


def reduce_claims(ledger, components):
    for tensor in claim_order(components):
        (tensor.reduce or reduce_committed)(ledger, tensor)
