"""A certificate's statement from its bytes: written from docs/specification, sections 10 and 14, sharing no code with zkds."""

from collections import namedtuple
from fractions import Fraction

from tests.reference.encoding import Bytes
from tests.reference.graph import Network
from tests.reference.integers import nearest

Statement = namedtuple(
    "Statement",
    "network T B rho lr eps adaptive perturbs_adaptively N schema private threshold shown loss correct saturated below_eps "
    "distinct margin evaluations R",
)
Evaluation = namedtuple("Evaluation", "N schema samples loss correct")
Schema = namedtuple("Schema", "element fraction shape classes means deviations")


def parse(data):
    source = Bytes(data, b"zkds sharpness statement v6")
    network, configuration, probes, root, _, _, _, private, results, others = (source.take(source.number()) for _ in range(10))
    steps, batch, *rationals, sharpness, perturbation = Bytes(configuration, b"zkds configuration v1").numbers(10)
    rho, lr, eps = (Fraction(*rationals[i : i + 2]) for i in (0, 2, 4))
    (count,) = Bytes(probes, b"").numbers(1)
    numbers = Bytes(results[1:], b"")
    shown = numbers.numbers(1 if results[:1] == b"\1" else count)
    values = (shown, int.from_bytes(numbers.take(16), "little"), *numbers.numbers(5))
    others = Bytes(others, b"")
    evaluations = [parse_evaluation(others) for _ in range(others.number())]
    probe = (steps, batch, rho, lr, eps, sharpness == 0, perturbation == 1)
    flags = (private == b"\1", results[:1] == b"\1")
    return Statement(Network(network), *probe, *parse_root(root), *flags, *values, evaluations, count)


def parse_root(data):
    """N and the schema."""
    lines = dict(line.split(" ", 1) for line in data.decode().splitlines()[1:])
    return int(lines["records"]), parse_schema(bytes.fromhex(lines["schema"]))


def parse_evaluation(source):
    """Section 23."""
    root = parse_root(source.take(source.number()))
    samples, loss = source.number(), int.from_bytes(source.take(16), "little")
    return Evaluation(*root, samples, loss, source.number())


def parse_schema(data):
    source = Bytes(data, b"zkds schema v1")
    _, element, fraction, dimensions = source.numbers(4)
    shape = source.numbers(dimensions)
    classes, pairs = source.numbers(2)
    means = [mean - 2**63 for mean in source.numbers(pairs)]
    return Schema(element, fraction, shape, classes, means, source.numbers(pairs))


def affine(schema, c):
    """(m, n) of section 10."""
    slope = Fraction(2**32, 255 if schema.element == 0 else 2**schema.fraction)
    constant = Fraction(0) if schema.element == 0 else -(2**15) * slope
    if schema.means:
        j = c if len(schema.means) > 1 else 0
        deviation = Fraction(schema.deviations[j], 2**32)
        slope, constant = slope / deviation, (constant - schema.means[j]) / deviation
    return nearest(slope), nearest(constant)
