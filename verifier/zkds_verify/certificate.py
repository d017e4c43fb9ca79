"""A certificate against what is asked of it: docs/specification/certificate.md, section 14, "The verifier", and section 23."""

from collections import namedtuple
from fractions import Fraction
from typing import NamedTuple

from zkds_verify.model import PublicModel
from zkds_verify.proof import Proof, read_relation
from zkds_verify.rejection import Rejected, require
from zkds_verify.shape_statement import parse
from zkds_verify.sharpness_shape import Shape
from zkds_verify.work import require_little_work

UNIT = 2**48  # of results


class Asked(NamedTuple):
    """What is asked for; None: it is not."""

    model: str | None = None  # a public model's file
    model_root: tuple | None = None  # (root, encoding of the network) of a private one
    network: bytes | None = None  # SHA-256 of its encoding
    root: bytes | None = None  # digest of the data root
    seed: bytes | None = None
    probe: tuple | None = None  # T, B, rho, lr, eps, whether sharpness and perturbation are ASAM
    probes: int | None = None
    evaluations: list | None = None  # (digest of the data root, records)
    tau: Fraction | None = None
    limits: tuple = ()  # (digest of a data root, None for the probe; largest mean loss or None; least accuracy or None)
    max_gap: Fraction | None = None
    min_records: int | None = None
    min_labels: int | None = None
    max_margin: Fraction | None = None
    allowed: frozenset = frozenset()  # of "saturated", "surplus classes", "vanishing weights"
    max_work: float = 1
    plain: bool = False


Verified = namedtuple("Verified", "statement terms plain vanishing")


def verify(data, asked):
    """Raises Rejected, and NotAProof."""
    encoding, plain = read_relation(data)
    require(asked.plain or not plain, "mode", "zero-knowledge", "plain")
    s = parse(encoding)
    require_little_work(s, asked.max_work)
    given = compare_pins(s, asked)
    terms = Proof(encoding, Shape(s, given).components).verify(data, plain=plain)
    compare_results(s, asked)
    return Verified(s, terms, plain, given.vanishing if given else 0)


def compare_pins(s, asked):
    """The public model's weights, or None."""
    given = None
    if asked.model or asked.model_root:
        kinds = ("a public model", "a private model's root")
        require(s.private == bool(asked.model_root), "kind of model", kinds[bool(asked.model_root)], kinds[s.private])
    if asked.network is not None:
        equal("model", asked.network, s.network_digest)
    if asked.model:
        given = PublicModel(asked.model, s)
        equal("model", given.digest, s.model)
        if given.vanishing and "vanishing weights" not in asked.allowed:
            raise Rejected("weights that vanish on the grid", "none", str(given.vanishing))
    if asked.model_root:
        root, network = asked.model_root
        equal("model", root, s.model)
        require(network == s.network_bytes, "model", "the network of model.root", "another one")
    if asked.root is not None:
        equal("data root", asked.root, s.root.digest)
    if asked.seed is not None:
        equal("seed", asked.seed, s.seed)
    if asked.probe is not None:
        differences = [i for i in range(7) if asked.probe[i] != s[1 + i]]
        require(not differences, "probe", *(of_probe(probe, differences) for probe in (asked.probe, s[1:8])))
    if asked.probes is not None:
        require(asked.probes == s.R, "probes", str(asked.probes), str(s.R))
    if asked.evaluations is not None:
        found = [(e.root.digest, e.samples) for e in s.evaluations]
        require(asked.evaluations == found, "evaluations", listed(asked.evaluations), listed(found))
    return given


def listed(evaluations):
    return ", ".join(f"{root.hex()}:{samples}" for root, samples in evaluations) or "none"


def equal(reason, expected, actual):
    require(expected == actual, reason, expected.hex(), actual.hex())


def of_probe(probe, places):
    names = ("T", "B", "rho", "lr", "eps", "sharpness ASAM", "perturbation ASAM")
    return ", ".join(f"{names[i]}={float(probe[i]) if i in (2, 3, 4) else probe[i]:g}" for i in places)


def compare_results(s, asked):
    """Exactly, as rationals."""
    if asked.tau is not None:
        shown = value_of(s)
        require(
            shown <= asked.tau,
            "proven threshold above tau" if s.threshold else "value above tau",
            f"at most {asked.tau}",
            f"{float(shown):.5g}",
        )
    count, largest, least = s.R * s.T * s.B, asked_of(asked, None, 0), asked_of(asked, None, 1)
    if largest is not None:
        require(s.loss <= largest * count * UNIT, "loss above the maximum", f"at most {largest}", str(s.loss / count / UNIT))
    if least is not None:
        require(s.correct >= least * count, "accuracy below the minimum", f"at least {least}", str(s.correct / count))
    degenerate = (
        ("saturated", "saturated batches", s.saturated),
        ("saturated", "ratios below eps", s.below_eps),
        ("surplus classes", "surplus classes", s.network.classes - s.schema.classes),
    )
    for allowance, reason, found in degenerate:
        require(not found or allowance in asked.allowed, reason, "none", str(found))
    if asked.min_records is not None:
        require(
            s.root.records >= asked.min_records,
            "records below the minimum",
            f"at least {asked.min_records}",
            str(s.root.records),
        )
    if asked.min_labels is not None:
        require(s.distinct >= asked.min_labels, "labels below the minimum", f"at least {asked.min_labels}", str(s.distinct))
    if asked.max_margin is not None:
        require(s.margin <= asked.max_margin, "margin above the maximum", f"at most {asked.max_margin}", str(s.margin))
    for root, largest, least in asked.limits:
        if root is not None:
            compare_evaluations([e for e in s.evaluations if e.root.digest == root], largest, least)
    if asked.max_gap is not None:
        gap = gap_of(s)
        require(gap is not None, "no gap")
        require(gap <= asked.max_gap, "gap above the maximum", f"at most {asked.max_gap}", str(float(gap)))


def value_of(s):
    """The mean over all probes, or the threshold."""
    return Fraction(sum(s.shown), len(s.shown) * UNIT)


def asked_of(asked, root, which):
    return next((limit[1 + which] for limit in asked.limits if limit[0] == root and limit[1 + which] is not None), None)


def compare_evaluations(found, largest, least):
    require(found, "data set not evaluated")
    for e in found:
        if largest is not None:
            require(e.loss <= largest * e.samples * UNIT, "loss of an evaluation above the maximum", f"at most {largest}")
        if least is not None:
            require(e.correct >= least * e.samples, "accuracy of an evaluation below the minimum", f"at least {least}")


def gap_of(s):
    """The largest mean loss on other data sets than the probe's, less the least on that; None without either."""
    own = [Fraction(e.loss, e.samples * UNIT) for e in s.evaluations if e.root.digest == s.root.digest]
    others = [Fraction(e.loss, e.samples * UNIT) for e in s.evaluations if e.root.digest != s.root.digest]
    return max(others) - min(own) if own and others else None
