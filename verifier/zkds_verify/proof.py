"""A whole proof, from its header to the opening: docs/specification/proof-system.md, sections 11 and 13."""

from math import prod

from zkds_verify import ligero, lookup, tables
from zkds_verify.batching import batch
from zkds_verify.channel import Channel
from zkds_verify.circuit import columns_of, lookups_of, reduce_claims
from zkds_verify.claims_ledger import Ledger
from zkds_verify.encoding import check
from zkds_verify.layout import Layout, TensorsClaim
from zkds_verify.opening import Opening, Parameters
from zkds_verify.rejection import NotAProof, Rejected, require
from zkds_verify.transcript import number

MAGIC, VERSION = b"zkdsprf\0", 1
MODES = (b"\0", b"\1")  # plain, zero-knowledge
MOST_RELATION, MOST_CELLS = 2**24, 2**36


def read_relation(data):
    """The encoding of the relation, which says what the proof is about, and whether the proof is plain."""
    if data[:8] != MAGIC:
        raise NotAProof("not a proof file")
    if data[8:12] != VERSION.to_bytes(4, "little"):
        raise NotAProof("proof of another version")
    require(data[12:13] in MODES, "mode", "0 or 1", str(data[12]) if len(data) > 12 else None)
    require(len(data) >= 21, "truncated at statement", "8 bytes", f"{max(0, len(data) - 13)} bytes")
    size = int.from_bytes(data[13:21], "little")
    check(size <= MOST_RELATION, "statement: length")
    require(len(data) >= 21 + size, "truncated at statement", f"{size} bytes", f"{len(data) - 21} bytes")
    return data[21 : 21 + size], data[12:13] == MODES[0]


class Proof:
    """Of a relation with these components (`circuit.Component`)."""

    def __init__(self, encoding, components):
        self.encoding, self.components = encoding, components
        columns = columns_of(components)
        lookups = [(tables.table(name), primary, secondary) for name, primary, secondary in lookups_of(components)]
        self.lookups = lookup.Lookups(lookups)
        require(sum(prod(shape) for _, shape in columns) <= MOST_CELLS, "statement: circuit")
        columns.append(("multiplicities", (self.lookups.rows,)))
        self.layout = Layout(columns, {primary for _, primary, _ in lookups})
        self.parameters = Parameters(self.layout.cells)

    def verify(self, data, *, plain):
        """The budget: (label, bits) of each term."""
        channel = Channel(data, plain=plain)
        channel.place = 13
        self.header(channel)
        root = channel.bytes("witness root", 32)
        pads = None if plain else channel.bytes("pad root", 32)
        ledger = Ledger(channel)
        for component in self.components:
            component.verify(ledger)
        reduce_claims(ledger, self.components)
        claims = [TensorsClaim(self.layout, terms, value) for terms, value in ledger.on_vector]
        claims += self.lookups.verify(channel, self.layout)
        parameters = self.parameters
        rho, value = batch(channel, claims, parameters.variables, parameters.code.data, parameters.code.n)
        opening = Opening(channel, parameters, root, rho, value)
        opening.first_half()
        if plain:
            channel.equations.require_constants()
        else:
            ligero.verify(channel, pads)
        opening.second_half()
        channel.end()
        return channel.terms

    def header(self, channel):
        mode = MODES[not channel.plain]
        channel.transcript.absorb("mode", mode)
        channel.transcript.absorb("version", VERSION.to_bytes(4, "little"))
        for name, expected in (("relation", self.encoding), ("parameters", self.parameters.encode())):
            if channel.take(f"length of {name}", 8) != number(len(expected)):
                raise Rejected(f"length of {name}")
            if channel.take(name, len(expected)) != expected:
                raise Rejected(name)
            channel.transcript.absorb(name, expected)
        channel.transcript.absorb("layout", self.layout.encode())
        channel.transcript.absorb("lookups", lookup.encode(self.lookups.lookups))
