"""A certificate's statement from its bytes: docs/specification/certificate.md, sections 14 and 23."""

from collections import namedtuple
from fractions import Fraction
from hashlib import sha256
from math import gcd

from zkds_verify.dataset import check_inputs, drawn, parse_root
from zkds_verify.encoding import Bytes, check
from zkds_verify.graph import Network
from zkds_verify.transcript import number

LABEL = b"zkds sharpness statement v"
VERSION = b"6"
MOST_BYTES, MOST_PART = 2**24, 2**23

Statement = namedtuple(
    "Statement",
    "network T B rho lr eps adaptive perturbs_adaptively root N schema seed seed_given model private threshold shown loss "
    "correct saturated below_eps distinct margin evaluations network_bytes network_digest R",
)
Evaluation = namedtuple("Evaluation", "root N schema samples loss correct")


def parse(data):
    check(len(data) <= MOST_BYTES, "statement: length")
    source = Bytes(data, LABEL)
    check(source.take(1) == VERSION, "statement: version")
    parts = []
    for _ in range(10):
        parts.append(source.sized())
        check(len(parts[-1]) <= MOST_PART, "statement: length")
    source.end()
    network, configuration, probes, root, seed, given, model, private, results, others = parts
    check(len(seed) == len(model) == 32, "statement: length")
    check(given in (b"\0", b"\1") and private in (b"\0", b"\1"), "statement: flag")
    parsed, probe, root = Network(network), parse_configuration(configuration), parse_root(root)
    T, B = probe[:2]
    R = int.from_bytes(probes, "little")
    check(len(probes) == 8 and 1 <= R <= 64, "statement: probes")
    check(T * B <= root.records, "statement: batches")
    check(R * T * B <= 2**14, "statement: records")
    check(R * T * B * root.columns <= 2**24, "statement: bytes of records")
    check_records(parsed, root.schema)
    threshold, *values = parse_results(results, T, B, R, parsed.classes)
    others = Bytes(others, b"")
    count = others.number()
    check(count <= 16, "evaluations")
    evaluations = [parse_evaluation(others, parsed) for _ in range(count)]
    others.end()
    check(sum(e.samples for e in evaluations) <= 2**14, "evaluations: records")
    check(sum(e.samples * e.root.columns for e in evaluations) <= 2**26, "evaluations: bytes of records")
    return Statement(
        parsed,
        *probe,
        root,
        root.records,
        root.schema,
        seed,
        given == b"\1",
        model,
        private == b"\1",
        threshold,
        *values,
        evaluations,
        network,
        sha256(network).digest(),
        R,
    )


def parse_configuration(data):
    """T, B, rho, lr, eps, whether sharpness and perturbation are ASAM."""
    source = Bytes(data, b"zkds configuration v1", "configuration")
    steps, batch, *pairs, sharpness, perturbation = source.numbers(10)
    source.end()
    check(sharpness <= 1 and perturbation <= 1, "configuration: kind")
    check(2 <= steps <= 1024 and 1 <= batch <= 4096, "configuration: batches")
    for numerator, denominator in zip(pairs[::2], pairs[1::2], strict=True):
        check(denominator and gcd(numerator, denominator) == 1, "configuration: lowest terms")
    rho, lr, eps = (Fraction(*pairs[i : i + 2]) for i in (0, 2, 4))
    check(Fraction(1, 2**33) <= rho < 8, "configuration: rho")
    check(Fraction(1, 2**20) <= lr <= 8, "configuration: learning rate")
    eps_int = (2 * eps * 2**56 / (batch * rho**2) + 1) // 2
    check(0 < eps_int < 2**48, "configuration: eps")
    return steps, batch, rho, lr, eps, sharpness == 0, perturbation == 1


def parse_results(data, steps, batch, probes, outputs):
    """In order; `shown`: the value of every probe, or the threshold alone."""
    source = Bytes(data, b"", "results")
    mode = source.take(1)
    check(mode in (b"\0", b"\1"), "results: mode")
    shown = source.numbers(1 if mode == b"\1" else probes)
    loss = int.from_bytes(source.take(16), "little")
    correct, saturated, below_eps, distinct, margin = source.numbers(5)
    source.end()
    records = probes * steps * batch
    check(max(shown) < 2**60 and loss < records * 2**60, "results: value")
    check(correct <= records and max(saturated, below_eps) <= probes * steps, "results: counts")
    check(distinct <= min(outputs, records) and margin <= 2048, "results: labels and margin")
    return mode == b"\1", shown, loss, correct, saturated, below_eps, distinct, margin


def check_records(network, schema):
    shape = tuple(schema.shape) if len(schema.shape) == 3 else (*schema.shape, 1, 1)
    check(network.shape == shape, "statement: shape of records")
    check(schema.classes <= network.classes <= 4095, "statement: classes")
    check_inputs(schema)


def parse_evaluation(source, network):
    """Section 23."""
    root = parse_root(source.sized())
    samples, loss, correct = source.number(), int.from_bytes(source.take(16), "little"), source.number()
    check(1 <= samples <= root.records, "evaluations: records")
    check(loss < samples * 2**60 and correct <= samples, "evaluations: results")
    check_records(network, root.schema)
    return Evaluation(root, root.records, root.schema, samples, loss, correct)


def probe_indices(s, k):
    """Section 24: of probe k = 1, 2, ..."""
    seed = s.seed if k == 1 else sha256(b"zkds probe v1" + s.seed + number(k - 1)).digest()
    return drawn(seed, s.root.records, s.T * s.B)


def evaluation_indices(s, k, evaluation):
    seed = sha256(b"zkds evaluation v1" + s.seed + number(k) + evaluation.root.digest).digest()
    return drawn(seed, evaluation.root.records, evaluation.samples)
