"""The probe against its naive twin, its batches, its repetitions, and what it leaves behind."""

from __future__ import annotations

import copy
import dataclasses
import gc
import hashlib
import itertools
import json
import random
import statistics
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.harness.model_snapshot import same, snapshot
from tests.harness.sharpness_networks import convolutional, dense, features, images, trained
from tests.reference import sharpness as reference
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.dataset.sampling import batches
from zkds.sharpness import Probe, SharpnessConfig, SharpnessResult, Step, directional_sharpness, probe_batches
from zkds.sharpness.statistic import EPSILON

pytestmark = pytest.mark.any_kernels

SEED = bytes(range(32))
SMALL = SharpnessConfig(batch_size=4, steps=3)
LARGE: dict[str, Any] = {"rho": 0.3, "learning_rate": 0.5, "sharpness": "asam", "scale": "all", "eta": 0.0}  # updates matter


@pytest.fixture(autouse=True)
def fixed_generator() -> None:
    torch.manual_seed(1)


SCALINGS = (("all", 0.0), ("weights", 0.0), ("weights", 0.01), ("all", 0.2))
SETTINGS = [*itertools.product(("asam", "sam"), ("sam", "asam"), SCALINGS, ("eval",)), ("asam", "asam", SCALINGS[0], "train")]


@pytest.mark.parametrize(("sharpness", "perturbation", "scaling", "batch_norm"), SETTINGS)
def test_equals_the_naive_twin(sharpness: Any, perturbation: Any, scaling: Any, batch_norm: Any) -> None:
    model, (x, y) = convolutional(), images()
    scale, eta = scaling
    settings = {**LARGE, "sharpness": sharpness, "scale": scale, "eta": eta}
    config = SharpnessConfig(batch_size=5, steps=4, perturbation=perturbation, batch_norm=batch_norm, **settings)
    plan = batches(SEED, len(y), 4, 5)
    history = reference.history(model, x, y, plan, perturbed=perturbation, batch_norm=batch_norm, **settings)
    for statistic in ("log_ratio", "raw", "log"):
        config = dataclasses.replace(config, statistic=statistic)
        result = directional_sharpness(model, (x, y), config, SEED, dtype=torch.float64)
        assert result.value == pytest.approx(reference.fluctuation(history, statistic), rel=1e-9)
    for step, other in zip(result.history, history, strict=True):
        assert {name: getattr(step, name) for name in other} == pytest.approx(other, rel=1e-9)


def test_defaults_are_a_proofs() -> None:
    config, proven = SharpnessConfig(), Configuration()
    assert (config.batch_size, config.steps) == (proven.batch_size, proven.steps) == (8, 5)
    assert (config.rho, config.learning_rate, EPSILON) == (float(proven.rho), float(proven.learning_rate), float(proven.eps))
    assert (config.sharpness.upper(), config.perturbation.upper()) == (proven.sharpness, proven.perturbation)
    assert config.parameters == "all"
    assert (config.sharpness, config.perturbation, config.scale, config.eta) == ("asam", "sam", "all", 0.0)
    assert (config.statistic, config.probes, config.batch_norm) == ("log_ratio", 1, "eval")


def test_batches_are_those_of_the_proof() -> None:
    x, y = features()
    result = directional_sharpness(dense(), (x, y), SMALL, SEED)
    assert [list(step.indices) for step in result.history] == batches(SEED, len(y), SMALL.steps, SMALL.batch_size)


def test_passes_of_a_probe() -> None:
    """The update of the last step is left out: 2 T - 1 passes."""
    model, data = dense(), features()
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    directional_sharpness(model, data, SMALL, SEED)
    assert len(passes) == 2 * SMALL.steps - 1


def test_probes_are_repetitions_with_derived_seeds() -> None:
    model, data = dense(), features()
    config = dataclasses.replace(SMALL, probes=3)
    result = directional_sharpness(model, data, config, SEED)
    label = b"zkds probe v1" + SEED
    seeds = [SEED] + [hashlib.sha256(label + k.to_bytes(8, "little")).digest() for k in (1, 2)]
    assert [probe.seed for probe in result.probes] == seeds
    values = [directional_sharpness(model, data, SMALL, seed).value for seed in seeds]
    assert [probe.value for probe in result.probes] == values
    assert result.value == result.mean == pytest.approx(statistics.fmean(values))
    assert result.spread == pytest.approx(statistics.stdev(values))
    assert result.history == result.probes[0].history
    assert directional_sharpness(model, data, SMALL, SEED).spread is None


def test_seeds_are_fresh_by_default() -> None:
    first, second = (directional_sharpness(dense(), features(), SMALL) for _ in range(2))
    assert len(first.seed) == 32 and first.seed != second.seed


def test_loss_and_accuracy_are_those_of_the_batches() -> None:
    result = directional_sharpness(dense(), features(), SMALL, SEED)
    assert result.loss == pytest.approx(statistics.fmean(step.loss for step in result.history))
    assert result.accuracy == pytest.approx(statistics.fmean(step.accuracy for step in result.history))


def test_result_survives_json() -> None:
    result = directional_sharpness(dense(), features(), dataclasses.replace(SMALL, probes=2), SEED)
    read = json.loads(json.dumps(result.to_dict()))
    assert read["value"] == result.value and read["spread"] == result.spread and read["seed"] == SEED.hex()
    assert read["config"] == dataclasses.asdict(result.config)
    last = result.probes[1].history[2]
    assert read["probes"][1]["history"][2] == {**dataclasses.asdict(last), "indices": list(last.indices)}


@pytest.mark.parametrize(
    ("loss", "accuracy", "warnings"),
    [
        (1.15, 0.56, ()),
        (1.16, 0.56, ("loss 1.16: guessing has 2.3, so the network does not look trained on this data",)),
        (1.15, 0.54, ("accuracy 54.0%: guessing has 10.0%, so the network does not look trained on this data",)),
    ],
)
def test_warnings_begin_half_way_from_guessing(loss: float, accuracy: float, warnings: tuple[str, ...]) -> None:
    """Of ten classes: ln(10) / 2 = 1.151, and 55 %."""
    step = Step((0,), 0.1, loss, 0.01 / loss, accuracy, 3.0)
    result = SharpnessResult(SMALL, SEED, (Probe(SEED, 0.0, (step, step)),), 10, 10, "torch.float64", "cpu")
    assert result.warnings == warnings


def test_progress_counts_steps() -> None:
    calls: list[tuple[int, int]] = []
    config = dataclasses.replace(SMALL, probes=2)
    directional_sharpness(dense(), features(), config, SEED, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(k, 6) for k in range(1, 7)]


# ---- given batches -----------------------------------------------------------------------------------------------------


def test_given_batches() -> None:
    model, (x, y) = dense(), features()
    plan = batches(SEED, len(y), SMALL.steps, SMALL.batch_size)
    probe = probe_batches(model, (x, y), SMALL, plan)
    assert probe.seed is None
    assert probe.history == directional_sharpness(model, (x, y), SMALL, SEED).history


def test_one_record_over_and_over() -> None:
    model, (x, y) = dense(), features()
    probe = probe_batches(model, (x, y), SharpnessConfig(**LARGE), [[7]] * 4, dtype=torch.float64)
    history = reference.history(model, x, y, [[7]] * 4, perturbed="sam", batch_norm="eval", **LARGE)
    assert probe.value == pytest.approx(reference.fluctuation(history, "log_ratio"))


def test_batches_of_numpy_integers() -> None:
    probe = probe_batches(dense(), features(), SMALL, np.arange(6).reshape(3, 2))  # type: ignore[arg-type]
    assert json.loads(json.dumps(probe.to_dict()))["history"][1]["indices"] == [2, 3]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ([[0]], "plan: expected two or more batches, none of them empty"),
        ([[0], []], "plan: expected two or more batches, none of them empty"),
        ([[0], [40]], "plan: expected record indices from 0 to 39, got 40"),
        ([[0], [-1]], "plan: expected record indices from 0 to 39, got -1"),
    ],
)
def test_batches_that_are_refused(plan: list[list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        probe_batches(dense(), features(), SMALL, plan)


# ---- precision and places ----------------------------------------------------------------------------------------------


def test_float32_is_close_to_float64_for_a_confident_network() -> None:
    """Losses around 1e-6, where the textbook cross-entropy has one digit left in float32."""
    x, y = features()
    model = trained(dense(), x, y, steps=300, rate=0.5)
    with torch.no_grad():
        model[2].weight *= 3
    single, double = (
        directional_sharpness(model, (x, y), SMALL, SEED, dtype=dtype) for dtype in (torch.float32, torch.float64)
    )
    assert min(step.loss for step in double.history) < 1e-5
    assert single.value == pytest.approx(double.value, rel=1e-4)
    assert (single.dtype, double.dtype) == ("torch.float32", "torch.float64")


def test_dtype_is_the_models_by_default() -> None:
    assert directional_sharpness(dense().double(), features(), SMALL, SEED).dtype == "torch.float64"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_gives_the_same_value() -> None:
    model, data = convolutional(), images()
    here = directional_sharpness(model, data, SMALL, SEED, dtype=torch.float64)
    there = directional_sharpness(model, data, SMALL, SEED, dtype=torch.float64, device="cuda")
    assert there.device.startswith("cuda")
    assert there.value == pytest.approx(here.value, rel=1e-9)
    assert directional_sharpness(model.cuda(), data, SMALL, SEED).value == pytest.approx(here.value, rel=1e-3)


def test_weights_in_memory() -> None:
    """In a pass there are w_0, which is the model's own memory, w_t and w_t + eps; afterwards w_0 alone."""
    model = nn.Sequential(nn.Linear(6, 509), nn.ReLU(), nn.Linear(509, 3))
    size = model[0].weight.untyped_storage().nbytes()  # no other tensor has this size
    counts: list[int] = []
    model.register_forward_hook(lambda *_: counts.append(storages_of(size)))
    assert storages_of(size) == 1
    directional_sharpness(model, features(), SMALL, SEED)
    assert counts == [1, 2, 2, 3, 2]
    assert storages_of(size) == 1


def has_storage(tensor: Tensor) -> bool:
    """Other tests' sparse and lazy ones have none."""
    return not nn.parameter.is_lazy(tensor) and tensor.layout is torch.strided


def storages_of(size: int) -> int:
    """How many pieces of memory of this size the tensors that live now have."""
    gc.collect()
    tensors = [each for each in gc.get_objects() if issubclass(type(each), Tensor) and has_storage(each)]
    return len({each.data_ptr() for each in tensors if each.untyped_storage().nbytes() == size})


# ---- what it leaves behind ---------------------------------------------------------------------------------------------


class Failing(nn.Module):
    """Fails in pass number `at`, by an error or by a NaN."""

    def __init__(self, at: int, error: Exception | None) -> None:
        super().__init__()
        self.inner = convolutional()
        self.at, self.error, self.passes = at, error, 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        torch.rand(1), np.random.rand(), random.random()
        output: Tensor = self.inner(x)
        if self.passes != self.at:
            return output
        if self.error:
            raise self.error
        return output * torch.nan


def busy_model(at: int = 0, error: Exception | None = None) -> nn.Module:
    """In training mode but for a part, with one frozen parameter and one gradient."""
    model = Failing(at, error).train()
    model.inner[1].eval()
    model.inner[6].bias.requires_grad_(False)
    model.inner[0].weight.grad = torch.ones_like(model.inner[0].weight)
    return model


@pytest.mark.parametrize("batch_norm", ["eval", "train"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_leaves_everything_as_it_was(batch_norm: Any, dtype: torch.dtype) -> None:
    model, data = busy_model(), images()
    before = snapshot(model)
    with torch.no_grad():  # the caller's business
        config = dataclasses.replace(SMALL, batch_norm=batch_norm, learning_rate=0.5)
        directional_sharpness(model, data, config, SEED, dtype=dtype)
    assert same(before, snapshot(model))


def test_the_callers_modes_do_not_matter() -> None:
    model, data = convolutional(), images()
    expected = directional_sharpness(model, data, SMALL, SEED).value
    contexts = (torch.no_grad(), torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16))
    for context in contexts:
        with context:
            assert directional_sharpness(model, data, SMALL, SEED).value == expected
    with torch.inference_mode():
        model, (x, y) = copy.deepcopy(model), data
        data = x.clone(), y.clone()
    assert directional_sharpness(model, data, SMALL, SEED).value == expected


@pytest.mark.parametrize(
    ("error", "kind"),
    [(KeyError("x"), ValueError), (MemoryError(), MemoryError), (RuntimeError("x"), ValueError), (None, ValueError)],
)
@pytest.mark.parametrize("at", [1, 2, 5])
def test_leaves_everything_as_it_was_after_a_failure(error: Exception | None, kind: type[Exception], at: int) -> None:
    model, data = busy_model(at, error), images()
    before = snapshot(model)
    with pytest.raises(kind):
        directional_sharpness(model, data, SMALL, SEED)
    assert same(before, snapshot(model))


def test_frozen_parameters_count_as_all_others_do() -> None:
    """As in a proof, which cannot tell them apart."""
    model, data = dense(), features()
    expected = directional_sharpness(model, data, SMALL, SEED).value
    model[0].weight.requires_grad_(False)
    before = snapshot(model)
    assert directional_sharpness(model, data, SMALL, SEED).value == expected
    assert directional_sharpness(model.requires_grad_(False), data, SMALL, SEED).value == expected
    model.requires_grad_(True)[0].weight.requires_grad_(False)
    assert same(before, snapshot(model))


def test_integer_parameters_are_constants() -> None:
    model, data = dense(), features()
    expected = directional_sharpness(model, data, SMALL, SEED).value
    model.table = nn.Parameter(torch.arange(3), requires_grad=False)
    assert directional_sharpness(model, data, SMALL, SEED).value == expected


def test_frozen_parameters_stay_and_do_not_count_if_asked() -> None:
    model, (x, y) = dense(), features()
    model[0].weight.requires_grad_(False)
    config = SharpnessConfig(batch_size=4, steps=3, parameters="trainable", **LARGE)
    plan = batches(SEED, len(y), 3, 4)
    history = reference.history(model, x, y, plan, perturbed="sam", batch_norm="eval", **LARGE)
    result = directional_sharpness(model, (x, y), config, SEED, dtype=torch.float64)
    assert result.value == pytest.approx(reference.fluctuation(history, "log_ratio"))


class Shared(nn.Module):
    """Two parameters of one shape that enter as a sum, so that autograd gives both the same gradient, and a tied one."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.rand(1, 3))
        self.second = nn.Parameter(torch.rand(1, 3))
        self.one, self.two = nn.Linear(6, 3, bias=False), nn.Linear(6, 3, bias=False)
        self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        shift: Tensor = self.first + self.second
        return self.one(x) + self.two(x.square()) + shift


def test_shared_gradients_and_tied_parameters() -> None:
    model, (x, y) = Shared(), features()
    config = SharpnessConfig(batch_size=4, steps=3, perturbation="asam", **LARGE)
    plan = batches(SEED, len(y), 3, 4)
    history = reference.history(model, x, y, plan, perturbed="asam", batch_norm="eval", **LARGE)
    result = directional_sharpness(model, (x, y), config, SEED, dtype=torch.float64)
    assert result.value == pytest.approx(reference.fluctuation(history, "log_ratio"))


class Bag(nn.Module):
    """Integer inputs, and an embedding that has sparse gradients or not."""

    def __init__(self, sparse: bool) -> None:
        super().__init__()
        self.embedding, self.scores = nn.Embedding(5, 4, sparse=sparse), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.scores(self.embedding(x).mean(dim=1))
        return output


def test_sparse_gradients_and_integer_inputs() -> None:
    sparse, full = Bag(True), Bag(False)
    full.load_state_dict(sparse.state_dict())
    data = torch.arange(60).reshape(20, 3) % 5, torch.arange(20) % 3
    config = dataclasses.replace(SMALL, learning_rate=0.5, perturbation="asam")
    values = [directional_sharpness(model, data, config, SEED).value for model in (sparse, full)]
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_exported_program() -> None:
    model, (x, y) = dense().eval(), features()
    program = torch.export.export(model, (x[:4],), dynamic_shapes=({0: torch.export.Dim("batch")},))
    expected = directional_sharpness(model, (x, y), SMALL, SEED)
    assert directional_sharpness(program.module(), (x, y), SMALL, SEED).value == pytest.approx(expected.value)
