"""What follows from a list of components: the order of tensors, of columns, of lookups, of claims.

Written from docs/specification, section 20, sharing no code with zkds.
"""

from tests.reference.claims_ledger import reduce_committed


def tensors_of(components):
    """Every tensor where it appears first: the components' in order, behind each what it is made of."""
    found = {}

    def visit(tensor):
        if tensor.name not in found:
            found[tensor.name] = tensor
            for source in tensor.sources:
                visit(source)
        assert found[tensor.name] is tensor, tensor.name

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
    left, order = tensors_of(components), []
    while left:
        used = {source.name for tensor in left for source in tensor.sources}
        order.append(next(tensor for tensor in left if tensor.name not in used))
        left = [tensor for tensor in left if tensor is not order[-1]]
    return order


def reduce_claims(ledger, components):
    for tensor in claim_order(components):
        (tensor.reduce or reduce_committed)(ledger, tensor)
