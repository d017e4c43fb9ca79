"""A slow verifier of a certificate's relation, from the bytes of its statement and a recorded conversation to the claims on the
vector.

Written from docs/specification, sections 3, 10 and 15 to 21, sharing no code with zkds but the elements of K.

`verify(statement, script)` reads a script of (kind, label, count, content) to its end and returns the `Ledger`: equations and
claims on the vector. Kinds are hidden, elements, bytes, challenge (count: |K| times its error) and equation (count: None). The
checks on commitments and Merkle trees of sections 10 and 19 are not repeated here.
"""

from tests.reference.circuit import reduce_claims
from tests.reference.claims_ledger import Ledger
from tests.reference.sharpness_shape import Shape


def verify(encoding, script):
    components, ledger = Shape(encoding).components, Ledger(script)
    for component in components:
        component.verify(ledger)
    reduce_claims(ledger, components)
    assert not ledger.waiting
    assert next(ledger.script, None) is None
    return ledger
