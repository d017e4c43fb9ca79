"""Membership inference by one score for each example (Section 5.2, Table 4).

One over-fitted model for each repetition; members are training images, the others test images. Lower scores are taken for
members: AUC 0.5 is chance, and below it the score points the wrong way.
"""

from dataclasses import asdict

from bench.experiments.harness import PAPER, Row, Setting, main, with_spread
from bench.experiments.networks import BUILD
from bench.experiments.training import evaluate, train
from zkds.sharpness.membership import membership

TITLES = {"loss": "loss", "asam": "ASAM sharpness", "sharpness": "directional sharpness"}


def run(setting: Setting, number: int) -> list[Row]:
    images, examples = setting.images, setting.size.examples
    model = train(BUILD[setting.name], images, setting.recipe, number).final
    members = images.x[:examples], images.y[:examples]
    others = images.x_test[:examples], images.y_test[:examples]
    accuracies = {"training": evaluate(model, images.x, images.y)[1], "test": evaluate(model, images.x_test, images.y_test)[1]}
    return [asdict(attack) | accuracies for attack in membership(model, members, others, PAPER)]


def summary(data_set: str, rows: list[Row]) -> list[Row]:
    return [
        {
            "data": data_set,
            "score": title,
            "AUC": with_spread([row["auc"] for row in rows if row["score"] == score]),
            "best accuracy": with_spread([row["accuracy"] for row in rows if row["score"] == score]),
            "training accuracy": with_spread([row["training"] for row in rows if row["score"] == score]),
            "test accuracy": with_spread([row["test"] for row in rows if row["score"] == score]),
        }
        for score, title in TITLES.items()
    ]


if __name__ == "__main__":
    main("membership", __doc__, run, summary)
