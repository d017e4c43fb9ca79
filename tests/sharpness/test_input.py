"""Every kind of data set gives the same probe, and every kind of bad input a ValueError that names its cause."""

from __future__ import annotations

import dataclasses
import itertools
import re
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset

from tests.harness.sharpness_networks import convolutional, dense, features, images
from zkds.dataset.records import from_arrays
from zkds.dataset.schema import NUMBER_BITS, Normalization
from zkds.sharpness import SharpnessConfig, directional_sharpness
from zkds.sharpness.examples import as_examples

pytestmark = pytest.mark.any_kernels

SEED = bytes(32)
SMALL = SharpnessConfig(batch_size=4, steps=3)


@pytest.fixture(autouse=True)
def fixed_generator() -> None:
    torch.manual_seed(2)


class Pairs(Dataset[tuple[Any, Any]]):
    def __init__(self, items: list[tuple[Any, Any]]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.items[index]


# ---- data sets ---------------------------------------------------------------------------------------------------------


def test_every_kind_of_data_set_gives_the_same_probe() -> None:
    x, y = images()
    x = (x * 255).round() / 255
    items = [(image.numpy(), int(label)) for image, label in zip(x, y, strict=True)]
    kinds = [
        (x, y),
        [x.numpy(), y.numpy().astype(np.uint8)],
        TensorDataset(x, y),
        Subset(TensorDataset(x, y), range(len(y))),
        Pairs(items),
        items,
        from_arrays((x * 255).round().to(torch.uint8).numpy(), y.numpy()),
    ]
    model = convolutional().double()
    values = [directional_sharpness(model, kind, SMALL, SEED).value for kind in kinds]
    assert values == [pytest.approx(values[0], rel=1e-6)] * len(kinds)  # x is float32, records are float64


@pytest.mark.parametrize("fraction_bits", [None, 6])
@pytest.mark.parametrize("normalization", [None, Normalization.from_decimals(["0.25"], ["0.5"])])
def test_records_are_the_numbers_of_their_schema(fraction_bits: int | None, normalization: Normalization | None) -> None:
    generator = np.random.default_rng(3)
    stored: Any = generator.integers(0, 256, (5, 4), dtype=np.uint8) if fraction_bits is None else generator.normal(size=(5, 4))
    records = from_arrays(stored, np.arange(5) % 3, fraction_bits=fraction_bits, normalization=normalization)
    x, y = as_examples(records).fetch([4, 0])
    schema = records.schema
    packed = records.read(0, 5)
    entries = packed[:, : -schema.label_bytes].copy().view(f"<u{schema.element_bytes}")
    expected = [[schema.number(int(entries[i, j]), j) / 2**NUMBER_BITS for j in range(4)] for i in (4, 0)]
    assert torch.equal(x, torch.tensor(expected, dtype=torch.float64))
    assert y.tolist() == [1, 0]


def test_records_of_images_with_a_normalization_for_each_channel() -> None:
    generator = np.random.default_rng(4)
    pixels = generator.integers(0, 256, (6, 3, 8, 8), dtype=np.uint8)
    normalization = Normalization.from_decimals(["0.1", "0.2", "0.3"], ["0.5", "0.6", "0.7"])
    examples = as_examples(from_arrays(pixels, np.arange(6) % 5, normalization=normalization))
    (x, _), (indices, (chunk, _)) = examples.fetch([1, 2, 3, 4]), next(iter(examples.chunks(4)))
    mean, deviation = (np.array(values).reshape(3, 1, 1) for values in ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7)))
    assert torch.allclose(x, torch.from_numpy((pixels[1:5] / 255 - mean) / deviation), atol=2.0**-24)
    assert indices == range(4) and torch.equal(chunk[1:], x[:3])


def test_chunks_cover_all_records_in_order() -> None:
    x, y = features(10)
    for dataset in ((x, y), Pairs(list(zip(x, y, strict=True))), from_arrays(x.numpy(), y.numpy())):
        chunks = list(as_examples(dataset).chunks(4))
        assert [list(indices) for indices, _ in chunks] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        assert torch.equal(torch.cat([labels for _, (_, labels) in chunks]), y)


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return itertools.repeat((X[0], 0))


X, Y = torch.zeros(20, 6), torch.arange(20) % 3
BAD_DATA: list[tuple[Any, type[Exception], str]] = [
    ((X[:0], Y[:0]), ValueError, "dataset: expected at least one record, got none"),
    ([], ValueError, "dataset: expected at least one record, got none"),
    ((X[:3], Y[:3]), ValueError, "batches: 3 batches of 4 need 12 records, there are 3"),
    ((X[:11], Y[:11]), ValueError, "batches: 3 batches of 4 need 12 records, there are 11"),
    ((X, Y + 1), ValueError, "labels: expected 0 to 2, the model's classes; record 5 has another"),
    ((X, Y - 1), ValueError, "labels: expected 0 to 2, the model's classes; record 6 has another"),
    ((X, Y.float()), ValueError, "labels: expected integers, got torch.float32"),
    (
        (X, Y[:, None]),
        ValueError,
        "dataset: expected x (N, ...) and y (N,), one label for each record, got shapes (20, 6) and (20, 1)",
    ),
    ((X, Y[:5]), ValueError, "dataset: expected x (N, ...) and y (N,), one label for each record, got shapes (20, 6) and (5,)"),
    (
        (X.to(torch.uint8), Y),
        ValueError,
        "dataset: expected inputs as the network sees them, got torch.uint8; zkds records scale bytes",
    ),
    ((X + torch.nan, Y), ValueError, "step 0: loss nan and sharpness nan, expected finite numbers"),
    (Pairs([(X[0], 0, 1)] * 20), ValueError, "item 5: expected a pair (x, label), got tuple"),
    (Pairs([(X[0], "cat")] * 20), ValueError, "item 5: expected a tensor and an integer label, got Tensor and str"),
    (Pairs([(X[0], Y[:2])] * 20), ValueError, "item 5: expected one label, got shape (2,)"),
    (
        Pairs([(X[0][: 5 + i % 2], 0) for i in range(20)]),
        ValueError,
        "dataset: expected inputs of one shape, got (5,) and (6,)",
    ),
    (Endless(), TypeError, "dataset: expected zkds records, a pair (x, y) or a torch data set with a length, got Endless"),
]


@pytest.mark.parametrize(("dataset", "kind", "message"), BAD_DATA)
def test_data_that_is_refused(dataset: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=f"^{re.escape(message)}"):
        directional_sharpness(dense(), dataset, SMALL, SEED)


# ---- models ------------------------------------------------------------------------------------------------------------


class Output(nn.Module):
    """A network with one parameter and any output."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.output = output

    def forward(self, x: Tensor) -> Any:
        return self.output(self.scale, x)


def frozen() -> nn.Module:
    return dense().requires_grad_(False)


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module: nn.Module = torch.jit.script(dense())
    return module


BAD_MODELS: list[tuple[Any, str]] = [
    (nn.Flatten(), "model: has no parameters"),
    (nn.Sequential(nn.LazyLinear(3)), "model: has parameters without a shape yet; call it once first"),
    (scripted(), "model: TorchScript modules cannot be probed; load the module they were made from"),
    (dense(features=7), "model: fails on inputs of shape (4, 6): "),
    (Output(lambda w, x: w * x[:, :1]), "model: expected logits of shape (4, classes), two classes or more, got (4, 1)"),
    (Output(lambda w, x: w * x[:2]), "model: expected logits of shape (4, classes), two classes or more, got (2, 6)"),
    (Output(lambda w, x: w * x[:, 0]), "model: expected logits of shape (4, classes), two classes or more, got (4,)"),
    (Output(lambda w, x: {"logits": w * x}), "model: expected a tensor of logits (B, classes), got dict"),
    (Output(lambda w, x: w.detach() * x), "model: expected a loss that depends on the parameters"),
    (Output(lambda w, x: w * x / 0.0), "step 0: loss nan and sharpness nan, expected finite numbers"),
    (dense().half(), "dtype: expected torch.float32 or torch.float64 for all parameters, got torch.float16"),
]


@pytest.mark.parametrize(("model", "message"), BAD_MODELS)
def test_model_that_is_refused(model: nn.Module, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        directional_sharpness(model, features(), SMALL, SEED)


def test_frozen_model_has_no_trainable_parameters() -> None:
    with pytest.raises(ValueError, match=r"^model: is frozen, no parameter requires a gradient; "):
        directional_sharpness(frozen(), features(), dataclasses.replace(SMALL, parameters="trainable"), SEED)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^model: expected a torch.nn.Module, got dict$"):
        directional_sharpness({}, features(), SMALL, SEED)  # type: ignore[arg-type]


def test_parameters_in_two_precisions_need_a_choice() -> None:
    model = dense()
    model[0].double()
    message = "dtype: expected torch.float32 or torch.float64 for all parameters, got torch.float32 and torch.float64"
    with pytest.raises(ValueError, match=f"^{message}$"):
        directional_sharpness(model, features(), SMALL, SEED)
    directional_sharpness(model, features(), SMALL, SEED, dtype=torch.float64)


def test_half_precision_is_no_choice() -> None:
    with pytest.raises(ValueError, match=r"^dtype: expected torch.float32 or torch.float64 .*, got torch.bfloat16$"):
        directional_sharpness(dense(), features(), SMALL, SEED, dtype=torch.bfloat16)


# ---- settings ----------------------------------------------------------------------------------------------------------

BAD_SETTINGS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"batch_size": 0}, ValueError, "batch_size: expected at least 1, got 0"),
    ({"steps": 1}, ValueError, "steps: expected at least 2, got 1"),
    ({"probes": 0}, ValueError, "probes: expected at least 1, got 0"),
    ({"steps": 2.0}, TypeError, "steps: expected an int, got float"),
    ({"rho": 0.0}, ValueError, "rho: expected a positive number, got 0.0"),
    ({"rho": float("nan")}, ValueError, "rho: expected a positive number, got nan"),
    ({"learning_rate": -1.0}, ValueError, "learning_rate: expected a number that is not negative, got -1.0"),
    ({"eta": float("inf")}, ValueError, "eta: expected a number that is not negative, got inf"),
    ({"sharpness": "gsam"}, ValueError, "sharpness: expected asam or sam, got 'gsam'"),
    ({"perturbation": "x"}, ValueError, "perturbation: expected asam or sam, got 'x'"),
    ({"scale": "biases"}, ValueError, "scale: expected all or weights, got 'biases'"),
    ({"statistic": "x"}, ValueError, "statistic: expected log_ratio or raw or log, got 'x'"),
    ({"parameters": "x"}, ValueError, "parameters: expected all or trainable, got 'x'"),
    ({"batch_norm": "x"}, ValueError, "batch_norm: expected eval or train, got 'x'"),
]


@pytest.mark.parametrize(("settings", "kind", "message"), BAD_SETTINGS)
def test_settings_that_are_refused(settings: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        SharpnessConfig(**settings)


@pytest.mark.parametrize(
    ("seed", "kind", "message"),
    [
        ("0" * 32, TypeError, "seed: expected bytes, got str"),
        (bytes(31), ValueError, "seed: expected 32 bytes, got 31"),
        (bytes(33), ValueError, "seed: expected 32 bytes, got 33"),
    ],
)
def test_seeds_that_are_refused(seed: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=f"^{message}$"):
        directional_sharpness(dense(), features(), SMALL, seed)
