"""A network that was never trained, beside a trained one: why F alone certifies nothing.

The "faulty" model has its initial weights. Its loss is far from 0 and much the same on every batch, so its F is low. Loss and
accuracy on the training data give it away.
"""

import torch

from bench.experiments.harness import Row, Setting, main, with_spread
from bench.experiments.networks import BUILD
from bench.experiments.pairs import pair
from bench.experiments.pairs import summary as pair_summary
from bench.experiments.training import train


def run(setting: Setting, number: int) -> list[Row]:
    trained = train(BUILD[setting.name], setting.images, setting.recipe, number).final
    torch.manual_seed(number)
    untrained = BUILD[setting.name]().eval()
    return [pair(setting, "trained / untrained", trained, untrained)]


def summary(data_set: str, rows: list[Row]) -> list[Row]:
    lines = pair_summary(data_set, rows)
    for line in lines:
        line["training loss, trained"] = with_spread([row["benign"].loss for row in rows])
        line["untrained"] = with_spread([row["faulty"].loss for row in rows])
    return lines


if __name__ == "__main__":
    main("untrained", __doc__, run, summary)
