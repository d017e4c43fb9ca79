"""tau.json: what `zkds calibrate -o` writes is read back, differences are named, other files refused by name."""

import json
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.threshold import MAX_BYTES, Threshold, read_threshold

pytestmark = pytest.mark.any_kernels

THRESHOLD = Threshold(Fraction(713, 1000), Configuration.of(), "false-rejection", 0.05, 0.049)
DOCUMENT = json.loads(THRESHOLD.to_json())


@pytest.fixture
def read(tmp_path):
    def read(content):
        path = tmp_path / "tau.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return read_threshold(path)

    return read


def test_keys():
    configuration = DOCUMENT.pop("configuration")
    assert DOCUMENT == {
        "format": "zkds threshold v1",
        "tau": 0.713,
        "limit": "false-rejection",
        "risk": 0.05,
        "false_rejection": 0.049,
        "false_acceptance": None,
    }
    DOCUMENT["configuration"] = configuration
    assert Configuration.of(**{k: v for k, v in configuration.items() if k != "parameters"}) == Configuration()
    assert configuration["rho"] == "0.05" and configuration["eps"] == "1e-12" and configuration["parameters"] == "all"


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    st.floats(0, 100),
    st.builds(
        Configuration.of,
        steps=st.integers(2, 9),
        batch_size=st.integers(1, 9),
        rho=st.fractions(Fraction(1, 100), 1, max_denominator=10**6),
        learning_rate=st.decimals("0.00001", 1, places=7),
        sharpness=st.sampled_from(("SAM", "ASAM")),
        perturbation=st.sampled_from(("SAM", "ASAM")),
    ),
    st.sampled_from(("all", "trainable")),
)
def test_round_trip(tmp_path_factory, tau, configuration, parameters):
    threshold = Threshold(Fraction(str(tau)), configuration, "false-acceptance", 0.25, 0.5, 0.125, parameters)
    path = tmp_path_factory.mktemp("tau") / "tau.json"
    path.write_text(threshold.to_json())
    assert read_threshold(path) == threshold and float(threshold.tau) == tau


def test_differences_in_words():
    assert THRESHOLD.differences(Configuration.of()) == ()
    assert THRESHOLD.differences(Configuration.of(steps=10, rho="0.1"), "trainable") == (
        "steps: tau was calibrated with 5, this has 10",
        "rho: tau was calibrated with 0.05, this has 0.1",
        "parameters: tau was calibrated with all, this has trainable",
    )


def altered(**changes):
    return DOCUMENT | changes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is no JSON"),
        (b"\xff\xfe", "it is no JSON"),
        (b"[" * 20_000, "expected a threshold"),
        (b" " * (MAX_BYTES + 1), f"it has more than {MAX_BYTES} bytes"),
        (b'{"tau": NaN}', "no finite number"),
        (b'{"tau": 1e99999999999999999999}', "it is no JSON"),
        (b'{"tau": 1, "tau": 2}', "a key twice"),
        ([], "it: expected the keys format, tau, "),
        (DOCUMENT | {"more": 1}, "and no others"),
        (altered(format=["x"]), "format: expected zkds threshold v1"),
        (altered(tau="0.7"), "tau: expected a number from 0 to"),
        (altered(tau=True), "tau: expected a number"),
        (altered(tau=-1), "tau: expected a number"),
        (json.dumps(DOCUMENT).replace("0.713", "1e-9999999").encode(), "tau: expected a number"),
        (altered(risk=2), "risk: expected a number from 0 to 1"),
        (altered(false_acceptance={}), "false_acceptance: expected a number from 0 to 1"),
        (altered(limit=[]), "limit: expected false-rejection or false-acceptance"),
        (altered(configuration={}), "configuration: expected the keys steps, "),
        (altered(configuration=DOCUMENT["configuration"] | {"steps": 1}), "steps: expected 2 to"),
        (altered(configuration=DOCUMENT["configuration"] | {"steps": "5"}), "steps: expected an int"),
        (altered(configuration=DOCUMENT["configuration"] | {"rho": 0.05}), "rho: expected a number or a short string"),
        (altered(configuration=DOCUMENT["configuration"] | {"rho": "9" * 41}), "rho: expected a number or a short string"),
        (altered(configuration=DOCUMENT["configuration"] | {"rho": "1e999999"}), "rho: expected a decimal number"),
        (altered(configuration=DOCUMENT["configuration"] | {"sharpness": "asam"}), "sharpness: expected one of ASAM, SAM"),
        (altered(configuration=DOCUMENT["configuration"] | {"parameters": "x"}), "parameters: expected all or trainable"),
    ],
)
def test_what_is_refused(read, content, message):
    with pytest.raises(ValueError, match=r"tau.json: expected a threshold as `zkds calibrate -o` writes it") as error:
        read(content)
    assert message in str(error.value) and len(str(error.value)) < 300
