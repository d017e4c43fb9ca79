"""Trains a network of the zoo on CIFAR-10, on processors, and writes what `zkds commit` and `zkds prove` read.

    python -m bench.cifar --data cifar10.tar.xz --architecture vgg11 --folder build/cifar
    python -m bench.cifar --toy                                  a narrow network on a few random images, one epoch

Writes FOLDER/ARCHITECTURE.pt and FOLDER/train.npz, and prints the commands that follow. Plain VGGs are trained with batch
norms, which are then folded into the convolutions: they train faster so. SGD with momentum, a learning rate that rises and
falls once (arXiv 1708.07120), shifted and mirrored images, convolutions in bfloat16, parameters in float32. The images went
through JPEG, so that accuracies are not quite comparable with published ones.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bench.cifar.folding import folded
from bench.cifar.images import SIDE, Split, read, shifted_and_flipped
from zkds.circuits.networks.torch_module import NetworkModule, build, save_checkpoint

BATCH = 512
LEARNING_RATE = 0.2
DECAY = 5e-4
EVALUATED = 1000  # images at once
TOY = 64  # images


def scaled(x: np.ndarray) -> Tensor:
    """Records as the proof sees them: u / 255."""
    return torch.tensor(x, dtype=torch.float32) / 255


def train(module: NetworkModule, split: Split, epochs: int, seed: int) -> None:
    """In place; prints a line for every epoch."""
    generator = torch.Generator().manual_seed(seed)
    batches = -(-len(split.x) // BATCH)
    optimizer = torch.optim.SGD(module.parameters(), LEARNING_RATE, momentum=0.9, weight_decay=DECAY, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=epochs * batches)
    for epoch in range(1, epochs + 1):
        started, used, total = time.perf_counter(), time.process_time(), 0.0
        module.train()
        for chosen in torch.randperm(len(split.x), generator=generator).split(BATCH):
            x = shifted_and_flipped(scaled(split.x[chosen.numpy()]), generator).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                scores = module(x)
            loss = nn.functional.cross_entropy(scores.float(), torch.tensor(split.y[chosen.numpy()]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(chosen)
        seconds, used = time.perf_counter() - started, time.process_time() - used
        print(f"epoch {epoch:3}  loss {total / len(split.x):.4f}  {seconds:.0f} s, {used:.0f} s of processor time", flush=True)


@torch.no_grad()
def accuracy(module: NetworkModule, split: Split) -> float:
    module.eval()
    places = range(0, len(split.x), EVALUATED)
    found = torch.cat([module(scaled(split.x[place : place + EVALUATED])).argmax(1) for place in places])
    return float((found == torch.tensor(split.y)).float().mean())


def toy_splits() -> dict[str, Split]:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (TOY, 3, SIDE, SIDE), np.uint8)
    split = Split(images, generator.integers(0, 10, TOY))
    return {"train": split, "test": split}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cifar", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="the archive: {train,test}/CLASS/NAME.jpg")
    parser.add_argument("--architecture", default="vgg11", help="of the zoo (default: vgg11)")
    parser.add_argument("--epochs", type=int, default=15, help="(default: 15)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation (default: 0)")
    parser.add_argument("--folder", type=Path, default=Path("build/cifar"), help="for the results (default: build/cifar)")
    parser.add_argument("--toy", action="store_true", help="vgg11:1/16 on random images, one epoch")
    options = parser.parse_args()
    if options.toy:
        splits, architecture, epochs = toy_splits(), "vgg11:1/16", 1
    elif options.data is None:
        parser.error("--data: expected the archive of CIFAR-10, or --toy")
    else:
        splits, architecture, epochs = read(options.data), options.architecture, options.epochs
    options.folder.mkdir(parents=True, exist_ok=True)
    name, colon, width = architecture.partition(":")
    plain_vgg = name.startswith("vgg") and not name.endswith("-bn")
    torch.manual_seed(options.seed)
    module = build(f"{name}-bn{colon}{width}" if plain_vgg else architecture)
    module.to(memory_format=torch.channels_last)
    train(module, splits["train"], epochs, options.seed)
    if plain_vgg:
        module.eval()
        module = folded(module, architecture)
    model, data = options.folder / f"{name}.pt", options.folder / "train.npz"
    save_checkpoint(module, architecture, model)
    np.savez(data, x=splits["train"].x, y=splits["train"].y)
    for split in ("train", "test"):
        print(f"accuracy on {split}: {accuracy(module, splits[split]):.4f}", flush=True)
    root = options.folder / "train.root"
    print(f"zkds commit --data {data} --classes 10 -o {root}\nzkds prove --model {model} --commit {root}")


if __name__ == "__main__":
    main()
