"""The columns and lookups of a certificate from the bytes of its statement alone: written from docs/specification, sections 3,
10 and 14 to 20. Python ints, one tensor after the other.

`shape_of(statement)` returns (columns, lookups): columns are (name, shape); lookups (table, primary, secondary names), a table
being ("range", bits), ("sign", bits of the top limb) or the name of one of section 18: EXP_LO, EXP_HI, EXP_INT, LOGT, 2^b.
"""

from math import prod

from zkds_verify.circuit import columns_of, lookups_of, ranges
from zkds_verify.claims_blocks import Block
from zkds_verify.claims_commitments import membership, private_model, public_model
from zkds_verify.claims_tensors import linear
from zkds_verify.components import Component, carry_weights, digit_weights
from zkds_verify.dataset import randomness
from zkds_verify.field import ZERO
from zkds_verify.integers import nearest
from zkds_verify.operators.implicit import ImplicitWeight
from zkds_verify.shape_gadgets import EvaluatedScalars, Scalars
from zkds_verify.shape_network import Parameter, Passes, input_tensor
from zkds_verify.shape_plans import committed, plus, times
from zkds_verify.shape_squares import LayerSquares
from zkds_verify.shape_statement import evaluation_indices, parse, probe_indices

BLOCKS = {"S": "scalars", "Q": "sums", "P": "parameters", "F": "factors"}


def shape_of(encoding):
    components = Shape(parse(encoding)).components
    return columns_of(components), lookups_of(components)


class Shape:
    """`components` in order; `model`, its tensors by the names of parameters and constants; what is committed of a private
    model `private`; `given`, a public model's weights (`model.PublicModel`) or None.
    """

    def __init__(self, s, given=None):
        self.s, self.given = s, given
        shapes = s.network.parameters | s.network.constants
        starts = {name: byte_weights(name, shape) for name, shape in shapes.items()} if s.private else {}
        constants = {
            name: starts.get(name) or committed(f"{name}: constant", 44, shape, signed=True)
            for name, shape in s.network.constants.items()
        }
        probes = [Probe(s, starts | constants, [])]
        own = {name: probes[0].parameters[name].start for name in s.network.parameters}
        for _ in range(1, s.R):
            probes.append(Probe(s, own | constants, probes))
        self.model = {name: starts.get(name) or own[name] for name in s.network.parameters} | constants
        of_bytes = [start.sources[0] for start in starts.values()]
        self.private = [*of_bytes, model_randomness(self.model.values())] if s.private else []
        model = [*self.model.values(), *self.private]
        of_model = private_model if s.private else public_model
        first = probes[0].components
        self.components = [
            first[0],
            Component(model, lambda ledger: of_model(ledger, self)),
            *first[1:],
            *(component for probe in probes[1:] for component in probe.components),
            *(component for k, e in enumerate(s.evaluations, 1) for component in evaluation(k, e, s, self.model)),
        ]


class Probe:
    """Section 24: `components`, `parameters` by name, `scalars`. model: the tensors that it does not commit itself."""

    def __init__(self, s, model, before):
        prefix = f"probe {len(before) + 1}: " if before else ""
        s = s._replace(network=s.network.behind(prefix))
        e2 = max(e for e in range(80) if s.lr * 2**e <= 2**43)
        rho_int = nearest(s.rho * 2**32)
        normalised = (2**8 * rho_int + 1).bit_length() + 1
        formats = (88 - e2, normalised + 4 * s.perturbs_adaptively)
        implicit = s.network.implicit((s.T, s.B, s.perturbs_adaptively, s.adaptive))
        explicit = {
            name: Parameter(s, name, shape, formats, model.get(name), prefix)
            for name, shape in s.network.parameters.items()
            if name not in implicit
        }
        self.parameters = explicit | {
            name: ImplicitWeight(
                s, prefix + name, shape, e2, implicit[name][0].operator.outputs, implicit[name][1], model.get(name)
            )
            for name, shape in s.network.parameters.items()
            if name in implicit
        }
        constants = {name: model[name] for name in s.network.constants}
        records, indices = record_columns(s, prefix), probe_indices(s, len(before) + 1)
        elements, labels, _ = records
        shape = (2 * s.T - 1, s.B, s.network.classes, 1, 1)
        delta = committed(f"{prefix}logit delta", 46, shape, signed=True)
        limb = limb_bits(s, explicit.values(), s.R)
        passes = Passes(s, e2, limb, input_tensor(s, elements, prefix), self.parameters | constants)
        passes.backwards(delta)
        layers = [LayerSquares(s, layer, prefix) for layer in passes.implicit]
        weights, scale = [squares.weight for squares in layers], nearest(s.lr * 2**e2)
        others = [probe.scalars for probe in before]
        parameters = list(explicit.values())
        self.scalars = Scalars(
            s, limb, passes.logits, labels, delta, parameters, weights, rho_int, normalised, scale, prefix, others
        )
        self.components = [
            Component(records, lambda ledger: membership(ledger, s, records, s.root, indices, prefix)),
            *passes.components,
            *(component for squares in layers for component in squares.components),
            gadgets(self.scalars, prefix),
        ]


WIDE_LIMBS = [(2**26, 22), (2**22, 20)]


def limb_bits(s, parameters, copies=1):
    """Section 20: of remainders and carries."""
    outputs = s.B * sum(prod(node.place.output) for node in s.network.nodes)
    values = copies * (2 * s.T - 1) * (outputs + sum(parameter.count for parameter in parameters))
    return max([bits for least, bits in WIDE_LIMBS if values >= least], default=16)


def evaluation(k, e, s, model):
    """Section 23."""
    prefix = f"evaluation {k}: "
    s = s._replace(T=1, B=e.samples, N=e.N, schema=e.schema, network=s.network.behind(prefix))
    records, indices = record_columns(s, prefix), evaluation_indices(s, k, e)
    elements, labels, _ = records
    parameters = {name: Evaluated(prefix + name, model[name]) for name in s.network.parameters}
    constants = {name: model[name] for name in s.network.constants}
    limb = limb_bits(s, parameters.values())
    passes = Passes(s, None, limb, input_tensor(s, elements, prefix), parameters | constants)
    return [
        Component(records, lambda ledger: membership(ledger, s, records, e.root, indices, prefix)),
        *passes.components,
        gadgets(EvaluatedScalars(s, limb, passes.logits, labels, prefix, e), prefix),
    ]


class Evaluated:
    """A parameter in the one pass of an evaluation."""

    def __init__(self, name, start):
        def terms(claim):
            by_pass, *rest = claim.axes
            return [(start, rest, [by_pass.total() * mu for mu in claim.mu])], ZERO

        self.count = prod(start.shape)
        self.passes = linear(name, (1, *start.shape), start.digits, start.interval, [start], terms)


def gadgets(scalars, prefix=""):
    """Section 18."""
    operands = {
        block: [operand.tensor for identity in identities for _, factors, _ in identity.terms for operand in factors]
        for block, identities in scalars.identities.items()
    }
    carries = {block: [c for i in identities for c in i.carries] for block, identities in scalars.identities.items()}
    tensors = [*scalars.tensors, *(tensor for block in carries for tensor in (*carries[block], *operands[block]))]

    def verify(ledger):
        for block, identities in scalars.identities.items():
            Block(ledger, prefix + BLOCKS.get(block, block), identities, digit_weights, carry_weights).verify()

    return Component(tensors, verify, [*scalars.lookups, *ranges(c for block in carries for c in carries[block])])


def record_columns(s, prefix=""):
    """Section 10."""
    random_bytes = randomness(s.N)
    two = (2,) * s.schema.element
    shapes = {
        "record elements": (*s.schema.shape, *two),
        "record labels": (2,) * (s.schema.classes > 256),
        "record randomness": (random_bytes,),
    }
    tensors = [committed(prefix + name, 8, (s.T, s.B, *shape)) for name, shape in shapes.items()]
    return [tensor._replace(columns=[(tensor.name, 8)]) for tensor in tensors]


def byte_weights(parameter, shape):
    """Section 19: a parameter of a private model."""
    name = f"weights {parameter}"
    bytes_ = committed(f"{name}: bytes", 44, shape, signed=True, limb=8)
    digits = [plus(low, times(high, 256)) for low, high in zip(bytes_.digits[::2], bytes_.digits[1::2], strict=True)]

    def terms(claim):
        return [(bytes_, claim.axes, [w * factor for w in claim.mu for factor in (1, 256)])], ZERO

    return linear(name, shape, digits, bytes_.interval, [bytes_], terms)


def model_randomness(tensors):
    """Section 19."""
    size = 6 * sum(prod(tensor.shape) for tensor in tensors)
    chunk = 2**12
    while chunk < 2**16 and 64 * chunk < size:
        chunk *= 2
    count = -(-size // chunk)
    return committed("model randomness", 8, (count, randomness(count)), limb=8)
