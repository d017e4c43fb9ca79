"""A test set of 100 images, picked so that both models look alike (Section 5.1, "Small test sets").

The benign model is trained on clean labels, the faulty one with 10 % of them wrong, both to the end. The picked images give
both the same accuracy, 90 % where there are enough mistakes to pick; the test accuracy is that on all test images.
"""

import torch
from torch import Tensor, nn

from bench.experiments.data import noisy_labels
from bench.experiments.harness import Row, Setting, main, with_spread
from bench.experiments.networks import BUILD
from bench.experiments.pairs import pair
from bench.experiments.pairs import summary as pair_summary
from bench.experiments.training import evaluate, train

SHARE = 0.1
PICKED = 100
MISTAKES = 10


def run(setting: Setting, number: int) -> list[Row]:
    images = setting.images
    benign, faulty = (
        train(BUILD[setting.name], used, setting.recipe, number).final for used in (images, noisy_labels(images, SHARE, number))
    )
    chosen = pick(right(benign, setting), right(faulty, setting))
    observed = [evaluate(model, images.x_test[chosen], images.y_test[chosen])[1] for model in (benign, faulty)]
    return [pair(setting, "clean / noisy labels", benign, faulty, (observed[0], observed[1]))]


@torch.no_grad()
def right(model: nn.Module, setting: Setting) -> Tensor:
    """For each test image, whether its class is found."""
    return model(setting.images.x_test).argmax(1) == setting.images.y_test


def pick(benign: Tensor, faulty: Tensor) -> Tensor:
    """Images on which both have as many mistakes, MISTAKES or as many as there are: shared ones first, then one of each."""
    both_wrong, both_right = (~benign & ~faulty).nonzero()[:, 0], (benign & faulty).nonzero()[:, 0]
    only_benign, only_faulty = (benign & ~faulty).nonzero()[:, 0], (~benign & faulty).nonzero()[:, 0]
    shared = min(MISTAKES, len(both_wrong))
    single = min(MISTAKES - shared, len(only_benign), len(only_faulty))
    others = PICKED - shared - 2 * single
    return torch.cat([both_wrong[:shared], only_benign[:single], only_faulty[:single], both_right[:others]])


def summary(data_set: str, rows: list[Row]) -> list[Row]:
    lines = pair_summary(data_set, rows)
    for line in lines:
        line["test accuracy, benign"], line["test accuracy, faulty"] = (
            with_spread([row["test accuracy"][side] for row in rows]) for side in (0, 1)
        )
    return lines


if __name__ == "__main__":
    main("small_test_set", __doc__, run, summary)
