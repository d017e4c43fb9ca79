"""Secrets stay where they are: out of reprs, errors, progress and JSON; their randomness from the operating system alone."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import json
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.harness.shell import ROOT
from tests.models.test_private_model import NETWORK, weights
from tests.repository.test_imports import all_modules
from zkds.circuits import probe as semantics
from zkds.circuits.arithmetic.fixed_point import Configuration, Overflow
from zkds.circuits.certificate.statement import SharpnessStatement, StatementError
from zkds.circuits.certificate.verifying import hidden
from zkds.circuits.metric.results import Results
from zkds.circuits.model_files.model_file import Model
from zkds.circuits.models.private_model import OpenedModel, PrivateModel
from zkds.claims import Claim, Pieces
from zkds.commands.verdict import statement_content
from zkds.dataset.root import DataRoot
from zkds.dataset.schema import Schema
from zkds.field import K

pytestmark = pytest.mark.any_kernels

ARRAYS = re.compile(r"\b(I64|U8|U32|U64|NDArray|Integers|PerLayer|PerParameter|Rounded|Value|QuantisedWeights)\b")
PUBLIC = {  # what a proof shows, what is made of it and of challenges, and where things lie
    "zkds.circuits.certificate.verifying.Pins",
    "zkds.circuits.certificate.simulator.Leakage",
    "zkds.circuits.operators.convolution.views.Phase",
    "zkds.commit.layout.BoxTable",
    "zkds.commit.opening.ProverReduction",
    "zkds.dataset.membership.Revealed",
    "zkds.native.cells.PieceArrays",
    "zkds.native.exact.View",
    "zkds.zk.messages.Responses",
}
NOT_IN_A_PROOF = ("zkds.sharpness", "zkds.commands")  # the audit shows its owner what it measured
OS_RANDOMNESS = {
    "zkds/zk/pads.py",
    "zkds/dataset/ajtai.py",
    "zkds/api.py",
    "zkds/commands/prove.py",
    "zkds/commands/probing.py",
    "zkds/output.py",
}
CONFIGURATION = Configuration.of(steps=2, batch_size=1, learning_rate="0.01")
GENERATORS = ("random.", "np.random.", "numpy.random.", "torch.rand", "torch.manual_seed", "torch.Generator")
SECRET = 6_543_210_987_654  # a weight, and the value of a claim


def shown_fields(kind: type) -> list[tuple[str, str]]:
    """(name, type) of the fields that the repr of a dataclass or a named tuple shows."""
    if dataclasses.is_dataclass(kind) and kind.__dataclass_params__.repr:
        return [(field.name, str(field.type)) for field in dataclasses.fields(kind) if field.repr]
    if issubclass(kind, tuple) and hasattr(kind, "_fields") and "__repr__" in vars(kind) and kind is not Model:
        return [(name, str(annotation)) for name, annotation in kind.__annotations__.items()]
    return []


def test_no_repr_shows_arrays():
    """A repr ends up in logs and in messages of errors. A new dataclass with arrays is secret until it stands in `PUBLIC`."""
    shown = set()
    for name in all_modules():
        if name.startswith(NOT_IN_A_PROOF):
            continue
        module = importlib.import_module(name)
        kinds = [kind for kind in vars(module).values() if inspect.isclass(kind) and kind.__module__ == name]
        for kind in kinds:
            if any(ARRAYS.search(annotation) for _, annotation in shown_fields(kind) if not annotation.startswith("Callable")):
                shown.add(f"{name}.{kind.__name__}")
    assert shown == PUBLIC


def probe(shift):
    """Of weights below 2^(3 - shift)."""
    rng = np.random.default_rng(1)
    small = {name: values >> shift for name, values in weights().items()}
    inputs = rng.integers(0, 1 << 32, (2, 1, *NETWORK.input_shape))
    return semantics.run(NETWORK, small, inputs, rng.integers(0, 60, (2, 1)), CONFIGURATION)


@pytest.fixture(scope="module")
def trajectory():
    return probe(6)


def test_reprs_of_secrets(trajectory):
    changed = weights() | {"out.bias": np.full(60, SECRET)}
    opened = OpenedModel.commit(NETWORK, changed)
    secret = f"{SECRET}"
    holders = [
        opened,
        PrivateModel(NETWORK, opened.root(), opened),
        dataclasses.replace(trajectory, weights=changed),
        Claim(lambda: Pieces.of([]), K(SECRET)),
        Model(NETWORK, {"out.bias": np.full(60, float(SECRET))}),
    ]
    assert secret in repr(changed)
    for holder in holders:
        assert secret not in repr(holder) and secret not in str(holder), type(holder)
    assert repr(holders[-1]).startswith("Model(network=Network(")


def test_an_overflow_names_the_place_alone():
    with pytest.raises(Overflow) as caught:
        probe(0)
    message = str(caught.value)
    assert "step 0" in message
    digits = [int(word) for word in "".join(c if c.isdigit() else " " for c in message).split()]
    assert max(digits) < 100, "names, steps, indices, widths; no value"


def statement(results):
    root = DataRoot(100, Schema("image", NETWORK.input_shape, "uint8", 60), bytes(32))
    return SharpnessStatement(NETWORK, CONFIGURATION, root, bytes(32), True, bytes(32), True, results)


def test_a_hidden_value_is_in_no_output():
    value = 123_456_789_012_345
    whole = statement(Results(1 << 50, 1, 0, 0, 1, 1, values=(value,)))
    said = hidden(whole, Fraction(1))
    for text in (repr(said), json.dumps(statement_content(said)), said.encode().hex()):
        assert str(value) not in text and value.to_bytes(8, "little").hex() not in text
    with pytest.raises(StatementError) as caught:
        hidden(whole, Fraction(1, 10))
    assert not any(c.isdigit() for c in str(caught.value))


def calls(path: Path) -> set[str]:
    """The dotted names that a file calls, and those that it imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            found.add(ast.unparse(node.func))
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_randomness_comes_from_the_operating_system():
    """No generator that somebody could seed, outside the audit; and the files that draw are known."""
    drawing, weak = set(), set()
    for folder in ("zkds", "circuits"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if name.startswith("zkds/sharpness/"):
                continue
            found = calls(path)
            if found & {"os.urandom", "secrets"}:
                drawing.add(name)
            if any(f"{call}.".startswith(GENERATORS) for call in found):
                weak.add(name)
    assert drawing == OS_RANDOMNESS and not weak
