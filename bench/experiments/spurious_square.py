"""A spurious square whose place tells the label (Section 5.1, "Overfitting to spurious features").

It is on half of the faulty model's training images, as in the paper, or on all of them. Both models are stopped at 90 %
training accuracy, as in the paper, and trained to the end. "fooled" is the share of test images with the square of another
class that the faulty model puts into that class: how much it relies on the shortcut.
"""

import torch
from torch import nn

from bench.experiments.data import CLASSES, Images, spurious_squares, with_squares
from bench.experiments.harness import Row, Setting, main
from bench.experiments.networks import BUILD
from bench.experiments.pairs import pair, summary
from bench.experiments.training import Stop, Training, evaluate, train

SHARES = (0.5, 1.0)
TRAINING_ACCURACY = 0.9
STOPPED = "stopped"


def run(setting: Setting, number: int) -> list[Row]:
    clean = setting.images
    benign = trained(setting, clean, number)
    rows = []
    for share in SHARES:
        faulty = trained(setting, spurious_squares(clean, share, number), number)
        pairs = {f"{share:.0%}, after {setting.epochs} epochs": (benign.final, faulty.final)}
        if benign.stopped and faulty.stopped:
            name = f"{share:.0%}, stopped at {TRAINING_ACCURACY:.0%} training accuracy"
            pairs[name] = benign.stopped[STOPPED], faulty.stopped[STOPPED]
        rows += [pair(setting, name, *models, fooled=fooled(models[1], clean)) for name, models in pairs.items()]
    return rows


def trained(setting: Setting, images: Images, number: int) -> Training:
    stops = {STOPPED: Stop(images.x, images.y, TRAINING_ACCURACY)}
    return train(BUILD[setting.name], images, setting.recipe, number, stops=stops)


def fooled(model: nn.Module, images: Images) -> float:
    """The share of test images that go to the class of a square which isn't theirs."""
    shown = (images.y_test + 1) % CLASSES
    squares = with_squares(images.x_test, shown, images, torch.arange(len(shown)))
    return evaluate(model, squares, shown)[1]


if __name__ == "__main__":
    main("spurious_square", __doc__, run, summary)
