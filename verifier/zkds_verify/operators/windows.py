"""Which output, tap and input belong together along an axis: docs/specification/certificate.md, section 16.1.

Along each axis there are triples (output, tap, input).
"""

from zkds_verify.claims_ledger import Axis
from zkds_verify.claims_ledger import product as multiplied
from zkds_verify.field import ZERO


def most(triples, which):
    """The largest number of triples that have one entry in this place."""
    counts = {}
    for triple in triples:
        counts[triple[which]] = counts.get(triple[which], 0) + 1
    return max(counts.values(), default=0)


def contracted(triples, axes, target, length):
    """Along an axis: sum over the triples with this target of the two others' weights. `axes`: by place in the triple."""
    result = [ZERO] * length
    for triple in triples:
        result[triple[target]] = result[triple[target]] + multiplied(axis.weights[triple[i]] for i, axis in axes.items())
    return Axis(result)
