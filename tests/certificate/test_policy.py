"""Policies: what is written is read back, each clause is decided exactly, whatever is no policy is refused by name."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.certificates import TINY, honest, rejection
from tests.harness.shell import ROOT
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.beacon import seed_of_beacon
from zkds.circuits.certificate.bounds import least_correct
from zkds.circuits.certificate.policy import CalibrationRates, EvaluationPolicy, Policy, network_digest
from zkds.circuits.certificate.policy_file import MAX_BYTES, PolicyError, policy_text, read_policy
from zkds.circuits.certificate.verifying import Pins, PolicyRejected, Status, verify_certificate
from zkds.circuits.networks import zoo
from zkds.dataset.schema import Normalization

pytestmark = pytest.mark.any_kernels

EVALUATED = replace(TINY, evaluations=(("features", 3), ("other features", 5)))
PROBE = """
[probe]
steps = 5
batch_size = 8
rho = 0.05
learning_rate = 0.0001
eps = 1e-12
sharpness = "ASAM"
perturbation = "SAM"
"""
PLAIN = f'format = "zkds policy v1"\n{PROBE}'


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "policy.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_policy(path)

    return read


@pytest.fixture(scope="module")
def statement():
    return honest(EVALUATED)[1]


def clause(policy, statement, name, chosen=()):
    """The only clause of this name."""
    (found,) = (each for each in policy.clauses(statement, chosen=chosen) if each.name == name)
    return found


def names(clauses):
    return [each.name for each in clauses if not each.met]


# ---- the file --------------------------------------------------------------------------------------------------------


def test_the_least_policy(read):
    assert read(PLAIN) == Policy(Configuration.of())


def test_the_example_of_the_document_has_every_key(read):
    """Its digests and its beacon are words there."""
    example = (ROOT / "docs/verdict.md").read_text().split("```toml\n")[1].split("```")[0]
    found = read(example.replace("digest of a data.root", "ab" * 32).replace("8f3a..c1", "cd" * 16))
    asked = {name: value for name, value in vars(found).items() if value is not None}
    assert set(vars(found)) - set(asked) == {"network", "root", "calibration"}  # others in their place; zkds calibrate
    assert found.configuration == Configuration.of() and found.tau == Fraction(4, 5) and not found.allow_saturated
    limits = Fraction(3, 20), Fraction(19, 20), Fraction(93, 100)
    assert found.evaluations == (EvaluationPolicy(bytes.fromhex("ab" * 32), 1000, *limits),)


SHARES = st.decimals(0, 1, places=4).map(Fraction)
NATS = st.decimals(0, 4095, places=9).map(Fraction)
DIGESTS = st.binary(min_size=32, max_size=32)
BOTH = st.tuples(SHARES, SHARES)
TEXTS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=30).filter(
    str.isprintable
)
CONFIGURATIONS = st.builds(
    Configuration.of,
    steps=st.integers(2, 9),
    batch_size=st.integers(1, 9),
    rho=st.decimals("0.01", 1, places=6),
    learning_rate=st.decimals("0.00001", 1, places=7),
    sharpness=st.sampled_from(("SAM", "ASAM")),
    perturbation=st.sampled_from(("SAM", "ASAM")),
)
POLICIES = st.builds(
    Policy,
    CONFIGURATIONS,
    **{name: st.none() | NATS for name in ("tau", "max_loss")},
    min_accuracy=st.none() | SHARES,
    min_labels=st.none() | st.integers(1, 99),
    max_margin=st.none() | NATS,
    max_gap=st.none() | NATS.map(lambda value: -value),
    network=st.none() | DIGESTS,
    private_model=st.none() | st.booleans(),
    root=st.none() | DIGESTS,
    min_records=st.none() | st.integers(1, 1 << 40),
    largest_input=st.none() | NATS,
    evaluations=st.lists(st.builds(EvaluationPolicy, DIGESTS, st.integers(1, 99), st.none() | NATS), max_size=2).map(tuple),
    drawn_by=st.none() | TEXTS,
    beacon=st.none() | st.binary(min_size=16, max_size=64),
    allow_saturated=st.booleans(),
    allow_vanishing_weights=st.booleans(),
    calibration=st.none() | st.builds(CalibrationRates, st.just("false-rejection"), SHARES, SHARES, BOTH, SHARES, BOTH),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(POLICIES)
def test_round_trip(tmp_path_factory, policy):
    path = tmp_path_factory.mktemp("policy") / "policy.toml"
    path.write_text(policy_text(policy))
    assert read_policy(path) == policy


BAD = {
    "": "format: expected",
    PLAIN.replace("v1", "v2"): "format: expected",
    'format = "zkds policy v1"\n': "probe: expected this table",
    PLAIN.replace("steps = 5\n", ""): "probe: expected steps as well",
    PLAIN.replace("steps = 5", "steps = 5.0"): "probe.steps: expected a positive whole number",
    PLAIN.replace("steps = 5", "steps = 0"): "probe.steps: expected a positive whole number",
    PLAIN.replace("rho = 0.05", "rho = nan"): "rho: expected a decimal number",
    PLAIN.replace("rho = 0.05", 'rho = "0.05"'): "probe.rho: expected a number",
    PLAIN.replace('"ASAM"', '"asam"'): "sharpness",
    f"{PLAIN}[limits]\ntua = 0.8\n": (
        "limits.tua: no key of a policy; there are max_gap, max_loss, max_margin, min_accuracy, min_labels, min_probes, tau"
    ),
    f"{PLAIN}[limit]\ntau = 0.8\n": "limit: no key of a policy",
    f"{PLAIN}limits = 3\n": "probe.limits: no key of a policy",
    f'limits = 3\n{PLAIN}': "limits: expected a table",
    f"{PLAIN}[limits]\ntau = true\n": "limits.tau: expected a number from 0 to 4095",
    f"{PLAIN}[limits]\ntau = inf\n": "limits.tau: expected a number from 0 to 4095",
    f"{PLAIN}[limits]\ntau = 1e-999999\n": "limits.tau: expected a number",
    f"{PLAIN}[limits]\ntau = 4096\n": "limits.tau: expected a number from 0 to 4095",
    f"{PLAIN}[limits]\nmin_accuracy = 95\n": "limits.min_accuracy: expected a number from 0 to 1",
    f"{PLAIN}[limits]\ntau = 1\ntau = 2\n": "it is no TOML",
    f"{PLAIN}[limits]\n[limits]\n": "it is no TOML",
    f'{PLAIN}[model]\narchitecture = "lenet6"\n': "model.architecture: ",
    f'{PLAIN}[model]\narchitecture = "lenet5"\nnetwork = "{"00" * 32}"\n': "expected architecture or network, not both",
    f'{PLAIN}[model]\nnetwork = "{"00" * 31}"\n': "model.network: expected 64 hex digits",
    f'{PLAIN}[model]\nprivate = "no"\n': "model.private: expected true or false",
    f'{PLAIN}[data]\nroot = "xy"\n': "data.root: expected hex digits",
    f"{PLAIN}[data]\nmin_records = -1\n": "data.min_records: expected a positive whole number",
    f'{PLAIN}[seed]\nbeacon = "00"\n': "seed.beacon: expected 16 to 1024 bytes, got 1",
    f'{PLAIN}[seed]\ndrawn_by = "\\u0007"\n': "seed.drawn_by: expected a text",
    f"{PLAIN}[allow]\nsaturated = 1\n": "allow.saturated: expected true or false",
    f"{PLAIN}[evaluation]\nsamples = 3\n": "evaluation: expected tables, [[evaluation]]",
    f"{PLAIN}[[evaluation]]\nsamples = 3\n": "evaluation: expected root as well",
    f'{PLAIN}[[evaluation]]\nroot = "{"00" * 32}"\n': "evaluation: expected samples as well",
    f'{PLAIN}[calibration]\nlimit = "false-rejection"\n': "calibration: expected risk, false_rejection, false_",
    "x" * (MAX_BYTES + 1): f"it has more than {MAX_BYTES} bytes",
    "\x00": "it is no TOML",
    f"{PLAIN}x = {'[' * 9000}": "expected a policy",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_whatever_is_no_policy_is_refused(read, text):
    with pytest.raises(PolicyError) as caught:
        read(text)
    assert BAD[text] in str(caught.value) and "policy.toml: expected a policy" in str(caught.value)
    with pytest.raises(PolicyError, match="it is no TOML"):
        read(b"\xff")


# ---- clauses ---------------------------------------------------------------------------------------------------------


def test_limits_are_exact(statement):
    """At the number itself each is met, one unit beyond it is not."""
    unit = Fraction(1, 1 << 60)
    held_out = statement.evaluations[1]
    of_all = Fraction(least_correct(held_out.root.count, held_out.samples, held_out.correct), held_out.root.count)
    digests = [each.root.digest() for each in statement.evaluations]

    def evaluation(**limits):
        return {"evaluations": (EvaluationPolicy(digests[0], 3), EvaluationPolicy(digests[1], 5, **limits))}

    cases = [
        ("value", statement.value, 1, lambda limit: {"tau": limit}),
        ("loss", statement.loss, 1, lambda limit: {"max_loss": limit}),
        ("accuracy", statement.accuracy, -1, lambda limit: {"min_accuracy": limit}),
        ("gap", statement.gap, 1, lambda limit: {"max_gap": limit}),
        ("evaluation 2: loss", held_out.loss, 1, lambda limit: evaluation(max_loss=limit)),
        ("evaluation 2: accuracy", held_out.accuracy, -1, lambda limit: evaluation(min_accuracy=limit)),
        ("evaluation 2: accuracy of all, 99% sure", of_all, -1, lambda limit: evaluation(min_accuracy_of_all=limit)),
    ]
    for number, met in ((1, True), (2, False)):
        assert clause(Policy(TINY.configuration, min_probes=number), statement, "probes").met is met
    for name, found, sign, fields in cases:
        assert clause(Policy(TINY.configuration, **fields(found)), statement, name).met, name
        assert not clause(Policy(TINY.configuration, **fields(found - sign * unit)), statement, name).met, name


def test_what_a_statement_is_about(statement):
    configuration, digest = TINY.configuration, statement.root.digest()
    other = Configuration.of(steps=7)
    low, high = statement.root.schema.input_interval(0)
    reach, spread = Fraction(max(-low, high), 1 << 32), Fraction(high - low, 1 << 32)
    unit = Fraction(1, 1 << 40)
    cases = [
        ("probe", {}, True),
        ("network", {"network": network_digest(statement.network)}, True),
        ("network", {"network": bytes(32)}, False),
        ("architecture", {"architecture": "lenet5"}, False),
        ("model", {"private_model": False}, True),
        ("model", {"private_model": True}, False),
        ("data root", {"root": digest}, True),
        ("data root", {"root": statement.evaluations[1].root.digest()}, False),
        ("records", {"min_records": statement.root.count}, True),
        ("records", {"min_records": statement.root.count + 1}, False),
        ("largest input", {"largest_input": reach}, True),
        ("largest input", {"largest_input": reach - unit}, False),
        ("least input range", {"least_input_range": spread}, True),
        ("least input range", {"least_input_range": spread + unit}, False),
    ]
    for name, fields, met in cases:
        assert clause(Policy(configuration, **fields), statement, name).met == met, (name, fields)
    assert not clause(Policy(other), statement, "probe").met
    named = replace(statement, network=zoo.network("digits-mlp"), evaluations=(), root=replace(statement.root, schema=digits()))
    assert clause(Policy(configuration, architecture="digits-mlp"), named, "architecture").met


def digits():
    from zkds.dataset.schema import Schema

    return Schema("image", (1, 8, 8), "uint8", 10)


def test_a_normalization_that_crushes_an_evaluated_data_set_is_seen(statement):
    """Also where the probe's own inputs are as they should be."""
    policy = Policy(TINY.configuration, least_input_range=Fraction(1, 2))
    assert clause(policy, statement, "least input range").met
    held_out = statement.evaluations[1]
    schema = replace(held_out.root.schema, normalization=Normalization.from_decimals(["0"], ["60000"]))
    crushed = replace(held_out, root=replace(held_out.root, schema=schema))
    found = clause(policy, replace(statement, evaluations=(statement.evaluations[0], crushed)), "least input range")
    assert not found.met and float(found.found) < 0.01


def test_evaluations_are_those_that_are_asked_and_no_others(statement):
    digests = [each.root.digest() for each in statement.evaluations]
    right = [EvaluationPolicy(digest, samples) for digest, samples in zip(digests, (3, 5), strict=True)]
    assert clause(Policy(TINY.configuration, evaluations=tuple(right)), statement, "evaluations").met
    wrong = [right[:1], right[::-1], [*right, right[0]], [replace(right[0], samples=4), right[1]]]
    for asked in wrong:
        policy = Policy(TINY.configuration, evaluations=tuple(asked))
        assert names(policy.clauses(statement, chosen=())) == ["evaluations"]
    none = Policy(TINY.configuration, evaluations=tuple(right), max_gap=Fraction(9))
    assert names(none.clauses(replace(statement, evaluations=()), chosen=())) == ["evaluations", "gap"]


def test_who_draws_the_seed(statement):
    drawn = Policy(TINY.configuration, drawn_by="the auditor")
    assert not clause(drawn, statement, "seed", chosen=["seed"]).met
    assert clause(drawn, statement, "seed").met
    beacon = bytes(range(40))
    right = replace(statement, seed=seed_of_beacon(beacon, statement.root, statement.model, private_model=False))
    policy = Policy(TINY.configuration, beacon=beacon)
    assert clause(policy, right, "seed").met and not clause(policy, statement, "seed").met


def test_a_beacon_s_seed_is_the_prover_s_choice_unless_data_root_and_model_are_pinned():
    """Each pair has a seed of its own, and who may still change a weight by 2^-40 tries as many as it likes."""
    root = honest(TINY)[1].root
    policy = Policy(TINY.configuration, beacon=bytes(40))
    assert Pins(policy=policy).chosen_by_prover == ("model", "data", "seed")
    assert Pins(policy=policy, root=root).chosen_by_prover == ("model", "seed")
    assert Pins(policy=policy, model=bytes(32)).chosen_by_prover == ("data", "seed")
    assert Pins(policy=replace(policy, root=root.digest()), model=bytes(32)).chosen_by_prover == ()
    assert Pins(policy=policy, seed=bytes(32)).chosen_by_prover == ("model", "data")


@pytest.mark.parametrize("chosen", [("model",), ("seed",), ("model", "seed")])
def test_no_bound_holds_for_a_model_that_may_have_been_made_for_the_draws(statement, chosen):
    digests = [each.root.digest() for each in statement.evaluations]
    asked = (EvaluationPolicy(digests[0], 3, min_accuracy_of_all=Fraction(0)), EvaluationPolicy(digests[1], 5))
    policy = Policy(TINY.configuration, evaluations=asked)
    name = "evaluation 1: accuracy of all, 99% sure"
    assert clause(policy, statement, name).met
    found = clause(policy, statement, name, chosen)
    assert not found.met and found.found == f"not sure, without {' and '.join(chosen)}"


def test_no_gap_is_met_between_data_sets_that_the_prover_chose(statement):
    policy = Policy(TINY.configuration, max_gap=Fraction(9))
    assert clause(policy, statement, "gap").met and not clause(policy, statement, "gap", ["data"]).met


def test_numbers_of_a_clause_that_is_not_met_are_told_apart(statement):
    unit = Fraction(1, 1 << 48)
    found = clause(Policy(TINY.configuration, tau=statement.value - unit), statement, "value")
    assert not found.met and found.asked != f"at most {found.found}"
    assert clause(Policy(TINY.configuration, min_accuracy=statement.accuracy), statement, "accuracy").met


def test_what_says_nothing_is_refused_unless_allowed(statement):
    degenerate = replace(statement, results=replace(statement.results, saturated=1, below_eps=2))
    assert names(Policy(TINY.configuration).clauses(degenerate, chosen=())) == ["saturated batches", "ratios below eps"]
    assert names(Policy(TINY.configuration, allow_saturated=True).clauses(degenerate, chosen=())) == []


def test_labels_and_margin(statement):
    shown = replace(statement, results=replace(statement.results, labels=1, margin=31))
    assert names(Policy(TINY.configuration, min_labels=1, max_margin=Fraction(31)).clauses(shown, chosen=())) == []
    policy = Policy(TINY.configuration, min_labels=2, max_margin=Fraction(309, 10))
    assert names(policy.clauses(shown, chosen=())) == ["labels", "margin"]
    assert [clause(policy, shown, name).found for name in ("labels", "margin")] == ["1", "31"]


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_a_verdict_under_a_policy():
    proof, statement = honest(TINY)
    pins = Pins(policy=Policy(TINY.configuration, tau=statement.value, max_loss=Fraction(9), min_accuracy=Fraction(0)))
    found = verify_certificate(proof, pins, allow_plain=True)
    assert found.status is Status.VALID and found.chosen_by_prover == ("model", "data", "seed") and not found.without_limit
    assert [each.name for each in found.clauses][:2] == ["surplus classes", "probe"] and all(each.met for each in found.clauses)
    everything = replace(pins, model=None, root=statement.root, seed=statement.seed)
    assert verify_certificate(proof, everything, allow_plain=True).chosen_by_prover == ("model",)


def test_a_policy_that_is_not_met():
    proof, statement = honest(TINY)
    policy = Policy(Configuration.of(steps=9), tau=statement.value - Fraction(1, 1 << 48), min_accuracy=Fraction(0))
    error = rejection(proof, pins=Pins(policy=policy))
    assert isinstance(error, PolicyRejected) and error.reason == "policy: probe, value"
    assert names(error.clauses) == ["probe", "value"] and len(error.clauses) > 4


@pytest.mark.parametrize("beside", [{"tau": Fraction(1)}, {"allow_saturated": True}, {"evaluations": ()}, {"min_records": 1}])
def test_nothing_else_is_given_beside_a_policy(beside):
    with pytest.raises(ValueError, match=f"policy: {next(iter(beside))} are for the policy to say"):
        Pins(policy=Policy(Configuration.of()), **beside)
