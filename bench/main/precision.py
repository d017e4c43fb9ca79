"""How far the fixed-point semantics is from float64: trained networks, many seeds, the reference of zkds/sharpness.

    python -m bench.main.precision --data mnist.npz --seeds 10

LeNet-5 on MNIST (or, without the file or with --toy, a small network on scikit-learn's digits) after little training, much
training, and over-fitted to few records. The reference sees the same float32 weights and the inputs u / 255 in float64.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

from bench.experiments.data import Images
from bench.experiments.training import Recipe, train
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.networks import zoo
from zkds.circuits.networks.graph import Network
from zkds.circuits.networks.torch_module import NetworkModule, build
from zkds.circuits.networks.weights import quantise
from zkds.circuits.probe import run
from zkds.circuits.trajectory import Trajectory
from zkds.dataset.sampling import batches
from zkds.dataset.schema import Schema
from zkds.integers.limbs import I64
from zkds.sharpness import SharpnessConfig
from zkds.sharpness.probe import probe_batches

U8 = np.ndarray


@dataclass(frozen=True)
class Task:
    """Images (N, C, H, W) uint8 and labels, and a network of the zoo that fits them."""

    architecture: str
    x: U8
    y: I64

    @property
    def network(self) -> Network:
        return zoo.network(self.architecture)

    def first(self, records: int) -> Images:
        """The first records as the trainer takes them: u / 255."""
        x, y = torch.tensor(self.x[:records] / 255, dtype=torch.float32), torch.tensor(self.y[:records])
        return Images(self.architecture, x, y, x, y, high=1.0)


@dataclass(frozen=True)
class Stage:
    """How a network is trained: on how many records, for how long.

    gain   what the last layer is multiplied with afterwards: a network that is as right, and more confident
    """

    name: str
    records: int
    recipe: Recipe
    gain: float = 1.0


STAGES = (
    Stage("early, 1 epoch", 20_000, Recipe(epochs=1, learning_rate=0.05)),
    Stage("trained, 12 epochs", 20_000, Recipe(epochs=12, learning_rate=0.05)),
    Stage("over-fitted, 150 epochs on 2,000", 2_000, Recipe(epochs=150, learning_rate=0.05)),
    Stage("the same, the last layer times 1.15", 2_000, Recipe(epochs=150, learning_rate=0.05), 1.15),
)
TOY = (Stage("early, 2 epochs", 1_000, Recipe(epochs=2)),)


def images(path: Path, architecture: str) -> Task:
    """Images (N, H, W) or (N, C, H, W) with as many zeros around them as the network's input asks for."""
    with np.load(path, allow_pickle=False) as file:
        x, y = file["x_train"], file["y_train"].astype(np.int64)
    x = x[:, None] if x.ndim == 3 else x
    border = (zoo.network(architecture).input_shape[1] - x.shape[2]) // 2
    return Task(architecture, np.pad(x, ((0, 0), (0, 0), (border, border), (border, border))), y)


def digits() -> Task:
    x, y = load_digits(return_X_y=True)
    return Task("digits-cnn", np.rint(x * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8), y.astype(np.int64))


def integer_weights(model: NetworkModule) -> dict[str, I64]:
    """The weights [40] of a trained module."""
    state = model.state_dict()
    tensors = {name: state[name].double().numpy().reshape(shape) for name, shape in model.description.tensors}
    return quantise(model.description, tensors)


def compare(task: Task, model: NetworkModule, records: int, seed: bytes, configuration: Configuration) -> dict[str, float]:
    """One probe both ways: F and the largest errors over its steps."""
    plan = batches(seed, records, configuration.steps, configuration.batch_size)
    slope, constant = Schema("image", task.network.input_shape, "uint8", task.network.classes).affine(0)
    inputs = task.x[np.array(plan)].astype(np.int64) * slope + constant
    found = run(task.network, integer_weights(model), inputs, task.y[np.array(plan)], configuration)
    config = SharpnessConfig(
        configuration.batch_size,
        configuration.steps,
        float(configuration.rho),
        float(configuration.learning_rate),
        configuration.sharpness.lower(),
        configuration.perturbation.lower(),
    )
    data = torch.tensor(task.x[:records] / 255), torch.tensor(task.y[:records])
    expected = probe_batches(model, data, config, plan, dtype=torch.float64)
    scale = float(configuration.rho) * 2.0**-44
    sharpness = [
        scale * math.sqrt(squares) / 2.0**k for squares, k in zip(found.sharpness_squares, found.loss_scales, strict=True)
    ]
    losses = [total / 2**58 / configuration.batch_size for total in found.loss_sums]
    constants = math.log(configuration.batch_size * float(configuration.rho) ** 2 * 2**-46)
    return {
        "F": expected.value,
        "loss": expected.loss,
        "smallest L_t": min(step.loss for step in expected.history),
        "error of F": abs(found.value / 2**48 - expected.value),
        "error of loss": abs(found.total_loss / 2**48 / (configuration.steps * configuration.batch_size) - expected.loss),
        "relative error of L_t": max(_relative(a, step.loss) for a, step in zip(losses, expected.history, strict=True)),
        "relative error of s_t": max(_relative(a, step.sharpness) for a, step in zip(sharpness, expected.history, strict=True)),
        "error of l_t": max(
            abs(value / 2**48 + constants - math.log(step.ratio + 1e-12))
            for value, step in zip(found.log_ratios, expected.history, strict=True)
        ),
        **{f"bits of {name}": bits for name, bits in used_bits(found).items()},
    }


def _relative(actual: float, expected: float) -> float:
    return abs(actual - expected) / expected if expected else float(actual != 0)


def used_bits(found: Trajectory) -> dict[str, int]:
    """Signed bits of the largest value of each kind of tensor, beside which its format is wide enough or not."""
    tensors: dict[str, Sequence[I64]] = {
        "weight": list(found.weights.values()),
        "output": [values for name, values in found.values.items() if name.endswith(": output")],
        "delta": [*(values for name, values in found.values.items() if name.endswith(": input delta")), found.logit_delta],
        "gradient": list(found.of_parameters("gradient").values()),
        "scaled gradient": list(found.of_parameters("scaled").values()),
        "perturbation": list(found.of_parameters("perturbation").values()),
        "update": list(found.of_parameters("update").values()),
        **{
            kind: [values for name, values in found.values.items() if name.endswith(kind)]
            for kind in ("update factor", "perturbation factor", "input products", "delta products")
        },
    }
    bits = {
        name: 1 + max(int(np.abs(array).max(initial=0)).bit_length() for array in arrays)
        for name, arrays in tensors.items()
        if arrays
    }
    return {**bits, "squared norm": max(found.sharpness_squares).bit_length(), "kappa": max(found.kappas).bit_length()}


def summary(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Ranges and largest errors over the seeds."""
    values: dict[str, float] = {
        "smallest F": min(row["F"] for row in rows),
        "largest F": max(row["F"] for row in rows),
        "mean loss": sum(row["loss"] for row in rows) / len(rows),
        "smallest L_t": min(row["smallest L_t"] for row in rows),
        "median error of F": float(np.median([row["error of F"] for row in rows])),
    }
    names = [name for name in rows[0] if name.startswith(("error", "relative", "bits"))]
    return {**values, **{f"largest {name}": max(row[name] for row in rows) for name in names}}


def trained(task: Task, stage: Stage) -> NetworkModule:
    """With seed 0."""
    model: NetworkModule = train(lambda: build(task.architecture), task.first(stage.records), stage.recipe, seed=0).final.eval()
    last = model.description.nodes[-1].name
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.rpartition(".")[0] == last:
                parameter.mul_(stage.gain)
    return model


def measure(task: Task, stage: Stage, seeds: int, learning_rate: str) -> dict[str, dict[str, float]]:
    """The summary for each kind of perturbation, of one network trained with seed 0."""
    model = trained(task, stage)
    keys = [hashlib.sha256(f"precision {number}".encode()).digest() for number in range(seeds)]
    configurations = {name: Configuration.of(perturbation=name, learning_rate=learning_rate) for name in ("SAM", "ASAM")}
    return {
        f"{task.architecture}, {stage.name}, perturbation {name}": summary(
            [compare(task, model, stage.records, key, configuration) for key in keys]
        )
        for name, configuration in configurations.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.main.precision", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help=".npz with x_train (N, H, W) or (N, C, H, W) and y_train; without it, digits")
    parser.add_argument(
        "--architecture", default="lenet5", help="of the zoo, with its width, such as resnet20:1/4 (default: lenet5)"
    )
    parser.add_argument("--learning-rate", default="0.0001", help="of the probes' steps (default: 0.0001)")
    parser.add_argument("--seeds", type=int, default=10, help="probes of each network (default: 10)")
    parser.add_argument("--toy", action="store_true", help="digits, one short training, two probes")
    parser.add_argument("--output", type=Path, help="where the figures go as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    toy = options.toy or not options.data or not options.data.exists()
    task = digits() if toy else images(options.data, options.architecture)
    stages = TOY if toy else STAGES
    results: dict[str, dict[str, float]] = {}
    for stage in stages:
        found = measure(task, stage, 2 if options.toy else options.seeds, options.learning_rate)
        results.update(found)
        for title, figures in found.items():
            print(f"\n{title}")
            for figure, value in figures.items():
                print(f"  {figure:40} {value:14.3g}", flush=True)
    if options.output:
        options.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
