"""A spurious square whose grey level tells the label, on half of the training images (Section 5.1, "Overfitting to spurious
features").

Both are stopped at 90 % training accuracy, as in the paper, and trained to the end. "fooled" is the share of test images with
the square of another class that the faulty model puts into that class: how much it relies on the shortcut.
"""

import torch
from torch import nn

from bench.experiments.data import CLASSES, Images, spurious_squares, with_squares
from bench.experiments.harness import Row, Setting, main
from bench.experiments.networks import BUILD
from bench.experiments.pairs import pair, summary
from bench.experiments.training import Stop, evaluate, train

SHARE = 0.5
TRAINING_ACCURACY = 0.9


def run(setting: Setting, number: int) -> list[Row]:
    clean = setting.images
    benign, faulty = (
        train(
            BUILD[setting.name], images, setting.recipe, number, stops={"stopped": Stop(images.x, images.y, TRAINING_ACCURACY)}
        )
        for images in (clean, spurious_squares(clean, SHARE, number))
    )
    pairs = {f"after {setting.epochs} epochs": (benign.final, faulty.final)}
    if benign.stopped and faulty.stopped:
        pairs[f"stopped at {TRAINING_ACCURACY:.0%} training accuracy"] = benign.stopped["stopped"], faulty.stopped["stopped"]
    return [pair(setting, name, *models, fooled=fooled(models[1], clean)) for name, models in pairs.items()]


def fooled(model: nn.Module, images: Images) -> float:
    """The share of test images that go to the class of a square which isn't theirs."""
    shown = (images.y_test + 1) % CLASSES
    squares = with_squares(images.x_test, shown, images, torch.arange(len(shown)))
    return evaluate(model, squares, shown)[1]


if __name__ == "__main__":
    main("spurious_square", __doc__, run, summary)
