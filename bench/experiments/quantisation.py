"""4-bit quantization of a SAM and of an SGD model (Section 5.1, "Post-quantization model quality").

The "benign" model is trained with SAM, the "faulty" one with SGD, and both are measured before quantization. "drop" is the
test accuracy that rounding the weights to 4 bits (symmetric, one step a tensor) costs.
"""

from dataclasses import replace

from torch import nn

from bench.experiments.harness import Row, Setting, main
from bench.experiments.networks import BUILD
from bench.experiments.pairs import pair, summary
from bench.experiments.training import evaluate, quantized, train

BITS = 4


def run(setting: Setting, number: int) -> list[Row]:
    sam, sgd = (
        train(BUILD[setting.name], setting.images, replace(setting.recipe, optimizer=optimizer), number).final
        for optimizer in ("sam", "sgd")
    )
    drops = {"drop, SAM": drop(sam, setting), "drop, SGD": drop(sgd, setting)}
    return [pair(setting, "SAM / SGD", sam, sgd, **drops)]


def drop(model: nn.Module, setting: Setting) -> float:
    """Test accuracy before - after."""
    images = setting.images
    before, after = (evaluate(each, images.x_test, images.y_test)[1] for each in (model, quantized(model, BITS)))
    return before - after


if __name__ == "__main__":
    main("quantisation", __doc__, run, summary)
