"""SAM against SGD over the last epochs (Section 5.3, Figure 1 and Table 5).

The "benign" model is trained with SAM, the "faulty" one with SGD, from the same initial weights. The gap is test loss -
training loss. With --plot FILE the first repetition is trained once more and drawn as in Figure 1.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from bench.experiments.harness import FULL, Row, Setting, arguments, main, measured, with_spread
from bench.experiments.networks import BUILD
from bench.experiments.pairs import pair
from bench.experiments.pairs import summary as pair_summary
from bench.experiments.training import Training, train
from zkds.sharpness.plots import plot_trajectories, save

CHECKPOINTS = 5


def epochs(setting: Setting) -> list[int]:
    """The last epochs, two apart."""
    return [epoch for epoch in range(setting.epochs - 2 * (CHECKPOINTS - 1), setting.epochs + 1, 2) if epoch > 0]


def trained(setting: Setting, optimizer: str, number: int) -> Training:
    recipe = replace(setting.recipe, optimizer=optimizer)
    return train(BUILD[setting.name], setting.images, recipe, number, keep=epochs(setting))


def run(setting: Setting, number: int) -> list[Row]:
    sam, sgd = trained(setting, "sam", number), trained(setting, "sgd", number)
    return [
        pair(setting, f"SAM / SGD, epoch {epoch}", sam.checkpoints[epoch], sgd.checkpoints[epoch])
        for epoch in sorted({epochs(setting)[0], epochs(setting)[-1]})
    ]


def summary(data_set: str, rows: list[Row]) -> list[Row]:
    lines = pair_summary(data_set, rows)
    for line in lines:
        mine = [row for row in rows if row["variant"] == line["models"]]
        line["gap, SAM"], line["gap, SGD"] = (with_spread([row["gap"][side] for row in mine]) for side in (0, 1))
    return lines


def draw(path: Path, data: Path) -> None:
    """Figure 1 with LeNet-5 on MNIST."""
    setting = Setting("MNIST", data, FULL)
    runs = {
        optimizer.upper(): [
            measured(str(epoch), model, setting) for epoch, model in trained(setting, optimizer, 0).checkpoints.items()
        ]
        for optimizer in ("sgd", "sam")
    }
    save(plot_trajectories(runs, epochs(setting)), path)


def parser() -> argparse.ArgumentParser:
    result = arguments(__doc__)
    result.add_argument("--plot", type=Path, metavar="FILE", help="only draw the probe trajectories to a .png or .svg file")
    return result


if __name__ == "__main__":
    options = parser().parse_args()
    if options.plot:
        draw(options.plot, options.data)
    else:
        main("sgd_sam", __doc__, run, summary, options)
