"""Train a network of the zoo, and keep the model file and the data set that `zkds` takes.

    python -m bench.demo.train digits-cnn --folder build/demo                        scikit-learn's digits: seconds
    python -m bench.demo.train lenet5 --folder build/models --mnist mnist.npz        a minute
    python -m bench.demo.train lenet-k --folder build/models --mnist mnist.npz       padded to 32x32; labels of 16 classes

Networks see x/255, as in proofs. What is there already is kept: the same seed gives the same files on the same machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from bench.experiments.data import Images
from bench.experiments.training import Recipe, evaluate, train
from zkds.circuits.model_files.model_file import load_model
from zkds.circuits.networks import zoo
from zkds.circuits.networks.torch_module import NetworkModule, build, save_checkpoint
from zkds.output import Output, new_files

DIGITS = Recipe(learning_rate=0.05, batch_size=32, epochs=20)
MNIST = Recipe(learning_rate=0.05, batch_size=64, epochs=4)
ARCHITECTURES = ("lenet5", "lenet5-avg", "lenet-k", "mlp", "digits-cnn", "digits-mlp")
TEST_RECORDS = 297  # of the 1,797 digits; the others are for training


@dataclass(frozen=True)
class Trained:
    """model: a checkpoint; data: the .npz of the training records, x uint8 (N, H, W) and y; loss (nats) and accuracy on them;
    test_accuracy on others."""

    architecture: str
    model: Path
    data: Path
    loss: float
    accuracy: float
    test_accuracy: float


@dataclass(frozen=True)
class Records:
    """x: uint8 (N, H, W), y: int64 (N,); the same for tests."""

    x: NDArray[np.uint8]
    y: NDArray[np.int64]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.int64]


def trained(architecture: str, folder: Path, *, mnist: Path | None = None, seed: int = 0, epochs: int | None = None) -> Trained:
    """Trains the network unless FOLDER holds it already, writes ARCHITECTURE.pt and ARCHITECTURE.npz, and evaluates it.

    Raises ValueError if the architecture needs MNIST and `mnist` isn't given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records, recipe = _records(architecture, mnist)
    model, data = folder / f"{architecture}.pt", folder / f"{architecture}.npz"
    images = _images(architecture, records)
    if not data.exists():
        with new_files(Output(data)) as (file,):
            np.savez(file, x=records.x, y=records.y)
    if not model.exists():
        if epochs is not None:
            recipe = replace(recipe, epochs=epochs)
        module = train(lambda: build(architecture), images, recipe, seed).final
        assert isinstance(module, NetworkModule)
        save_checkpoint(module, architecture, model)
    module = load_model(model).module().float()
    loss, accuracy = evaluate(module, images.x, images.y)
    return Trained(architecture, model, data, loss, accuracy, evaluate(module, images.x_test, images.y_test)[1])


def _records(architecture: str, mnist: Path | None) -> tuple[Records, Recipe]:
    height = zoo.network(architecture).input_shape[1]
    if height == 8:
        return digits(), DIGITS
    if mnist is None:
        raise ValueError(f"{architecture}: expected --mnist, the path of MNIST as .npz with x_train, y_train, x_test, y_test")
    return mnist_records(mnist, height), MNIST


def digits() -> Records:
    """scikit-learn's digits, shuffled once, their 17 grey levels stretched to 0..255."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    levels = np.round(x[order].reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)
    labels = y[order].astype(np.int64)
    return Records(levels[TEST_RECORDS:], labels[TEST_RECORDS:], levels[:TEST_RECORDS], labels[:TEST_RECORDS])


def mnist_records(path: Path, height: int) -> Records:
    """MNIST, with a border of zeros if the network's images are larger than 28x28."""
    border = (height - 28) // 2
    with np.load(path, allow_pickle=False) as file:
        x, x_test = (np.pad(file[name], ((0, 0), (border, border), (border, border))) for name in ("x_train", "x_test"))
        return Records(x, file["y_train"].astype(np.int64), x_test, file["y_test"].astype(np.int64))


def _images(architecture: str, records: Records) -> Images:
    x, x_test = (torch.from_numpy(part).float()[:, None] / 255 for part in (records.x, records.x_test))
    return Images(architecture, x, torch.from_numpy(records.y), x_test, torch.from_numpy(records.y_test), high=1.0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.demo.train", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("architecture", choices=ARCHITECTURES)
    parser.add_argument("--folder", type=Path, required=True, help="where the model and the data set go")
    parser.add_argument("--mnist", type=Path, help="MNIST as .npz with x_train, y_train, x_test, y_test")
    parser.add_argument("--seed", type=int, default=0, help="of initial weights and the order of records (default: 0)")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's own")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    try:
        result = trained(options.architecture, options.folder, mnist=options.mnist, seed=options.seed, epochs=options.epochs)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(asdict(result), default=str))
        return 0
    print(
        f"{result.model}: training loss {result.loss:.4f}, accuracy {result.accuracy:.2%}, on others {result.test_accuracy:.2%}"
    )
    print(f"{result.data}: the training records")
    return 0


if __name__ == "__main__":
    sys.exit(main())
