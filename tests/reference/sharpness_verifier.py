"""The second verifier's reading of a certificate's relation, with a recorded conversation in place of a proof.

`verify(statement, script)` reads a script of (kind, label, count, content) to its end. Kinds are hidden, elements, bytes,
challenge (count: |K| times its error) and equation (count: None); a count None of bytes stands for any. Random bytes are under
no Merkle root.
"""

from zkds_verify.circuit import reduce_claims
from zkds_verify.claims_ledger import Ledger
from zkds_verify.field import K
from zkds_verify.shape_statement import parse
from zkds_verify.sharpness_shape import Shape


class Script:
    """residues: (reason, value that has to be zero)"""

    def __init__(self, entries):
        self.entries, self.residues = iter(entries), []

    def next(self, kind, label, count):
        found_kind, found_label, found_count, content = next(self.entries)
        assert (found_kind, found_label) == (kind, label), ((found_kind, found_label), (kind, label))
        assert found_count in (count, None), (label, found_count, count)
        return content

    def hidden(self, label, count):
        return [K(x.re, x.im) for x in self.next("hidden", label, count)]

    def elements(self, label, count):
        return [K(x.re, x.im) for x in self.next("elements", label, count)]

    def bytes(self, label, count):
        return self.next("bytes", label, count)

    def challenge(self, label, error):
        x = self.next("challenge", label, error)
        return K(x.re, x.im)

    def challenges(self, label, error, count):
        return [self.challenge(label, error) for _ in range(count)]

    def equation(self, reason, value):
        self.next("equation", reason, None)
        self.residues.append((reason, value))


def verify(encoding, entries):
    """(residues, claims on the vector)"""
    components, script = Shape(parse(encoding)).components, Script(entries)
    ledger = Ledger(script)
    for component in components:
        component.verify(ledger)
    reduce_claims(ledger, components)
    assert not ledger.waiting
    assert next(script.entries, None) is None
    return script.residues, ledger.on_vector
