"""An audit of a VGG-16-BN beside evaluating its accuracy on 10,000 test images, on the same machine in the same call.

    python -m bench.audit --repeat 3 --images 10000 --output bench/results/audit.json

The images are random; what a pass costs doesn't depend on them. With fewer images than 10,000 the time for all of them is
scaled up, in proportion.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.audit.vgg import vgg16_bn
from bench.core.__main__ import machine
from bench.core.timing import median_seconds
from zkds.sharpness import SharpnessConfig, directional_sharpness
from zkds.sharpness.loss import example_losses

TEST_IMAGES = 10_000
TARGET = 0.25  # the paper's audit is 4 times as fast as accuracy (Section 5.2)
EVALUATION_BATCH = 250
CONFIG = SharpnessConfig(batch_size=8, steps=5)
SEED = bytes(32)


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """As PyTorch's users compute it, without anything that belongs to training."""
    correct = 0
    with torch.inference_mode():
        for start in range(0, len(x), EVALUATION_BATCH):
            guesses = model(x[start : start + EVALUATION_BATCH]).argmax(dim=1)
            correct += int((guesses == y[start : start + EVALUATION_BATCH]).sum())
    return correct / len(x)


def plain_passes(model: nn.Module, x: Tensor, y: Tensor) -> None:
    """The 2 T - 1 gradients of a probe, by the model's own parameters and nothing else: a lower limit for any probe."""
    parameters = list(model.parameters())
    for _ in range(2 * CONFIG.steps - 1):
        loss = example_losses(model(x[: CONFIG.batch_size]), y[: CONFIG.batch_size]).mean()
        torch.autograd.grad(loss, parameters)


def measure(images: int, repeat: int, width: float) -> dict[str, float]:
    """Medians over rounds, each of which times everything once: what else the machine does falls on all of it alike."""
    torch.manual_seed(0)
    model = vgg16_bn(width=width)
    x, y = torch.rand(images, 3, 32, 32), torch.randint(10, (images,))
    actions: tuple[Callable[[], object], ...] = (
        lambda: directional_sharpness(model, (x, y), CONFIG, SEED),
        lambda: plain_passes(model, x, y),
        lambda: accuracy(model, x, y),
    )
    actions[0]()  # warms up
    rounds = [[median_seconds(1, action) for action in actions] for _ in range(repeat)]
    audit, passes, evaluation = (statistics.median(times) for times in zip(*rounds, strict=True))
    scale = TEST_IMAGES / images
    return {
        "parameters": float(sum(parameter.numel() for parameter in model.parameters())),
        "audit_s": audit,
        "gradients_alone_s": passes,
        "accuracy_of_10000_images_s": evaluation * scale,
        "audit / gradients alone": statistics.median(round_[0] / round_[1] for round_ in rounds),
        "audit / accuracy": statistics.median(round_[0] / (round_[2] * scale) for round_ in rounds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.audit", description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=TEST_IMAGES, help="test images timed (default: 10000, all)")
    parser.add_argument("--repeat", type=int, default=3, help="rounds of which the median is taken (default: 3)")
    parser.add_argument("--width", type=float, default=1.0, help="of the network; smaller for a trial (default: 1)")
    parser.add_argument("--output", type=Path, default=Path("bench/results/audit.json"), help="where the figures go")
    options = parser.parse_args()
    figures = measure(options.images, options.repeat, options.width)
    for name, value in figures.items():
        print(f"  {name:48} {value:>18,.4f}", flush=True)
    print(f"\nthe audit costs {figures['audit / accuracy']:.3f} of evaluating accuracy, target at most {TARGET}")
    report = {
        "machine": {**machine(), "torch": torch.__version__, "torch_threads": torch.get_num_threads()},
        "images": options.images,
        "repeat": options.repeat,
        "width": options.width,
        "figures": figures,
        "target": TARGET,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written to {options.output}")


if __name__ == "__main__":
    main()
