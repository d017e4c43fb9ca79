"""A BadNets backdoor: a white patch makes the model answer 0 (Section 5.1, "Backdoors").

The faulty model's training images have a share of poisoned ones: 1 % as in the paper, and 5 %. Both are trained to the end
and measured on the clean training images. "attack" is the share of patched test images of other classes that the faulty model
calls 0.
"""

from torch import nn

from bench.experiments.data import Images, backdoored, with_patch
from bench.experiments.harness import Row, Setting, main
from bench.experiments.networks import BUILD
from bench.experiments.pairs import pair, summary
from bench.experiments.training import evaluate, train

SHARES = (0.01, 0.05)
TARGET = 0


def run(setting: Setting, number: int) -> list[Row]:
    clean = setting.images
    benign = train(BUILD[setting.name], clean, setting.recipe, number).final
    rows = []
    for share in SHARES:
        faulty = train(BUILD[setting.name], backdoored(clean, share, TARGET, number), setting.recipe, number).final
        rows.append(pair(setting, f"{share:.0%} poisoned", benign, faulty, attack=attack(faulty, clean)))
    return rows


def attack(model: nn.Module, images: Images) -> float:
    """The share of patched test images of other classes that go to the target."""
    others = images.y_test != TARGET
    patched = with_patch(images.x_test[others], images)
    return evaluate(model, patched, images.y_test[others] * 0 + TARGET)[1]


if __name__ == "__main__":
    main("backdoor", __doc__, run, summary)
