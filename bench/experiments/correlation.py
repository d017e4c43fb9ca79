"""Rank correlation with the generalization gap over a grid of models (Section 4.5, Table 1).

Digits only. Optimizer, learning rate, batch size and weight decay vary; models that do not reach 99 % training accuracy are
left out, as the paper leaves out those that do not converge. The gap is test loss - training loss. A positive coefficient
means that a larger value of the measure goes with a larger gap.
"""

import itertools
from dataclasses import replace

from bench.experiments.harness import Row, Setting, main, measured
from bench.experiments.networks import BUILD
from bench.experiments.training import Recipe, evaluate, train
from zkds.sharpness.correlate import MIN_MODELS, correlate

ONLY = ("digits",)
RATES = {"sgd": (0.02, 0.01, 0.005), "sam": (0.02, 0.01, 0.005), "adam": (0.004, 0.002, 0.001)}
BATCH_SIZES = (32, 64)
DECAYS = (0.0, 1e-4, 1e-3)
LEAST_ACCURACY = 0.99
MEASURES = {"directional sharpness": "mean", "ASAM sharpness": "asam", "training loss": "loss"}


def grid(setting: Setting) -> list[tuple[Recipe, int]]:
    """The recipes, with the rank of the learning rate among its optimizer's: the axis that is the same for all of them."""
    size = setting.size.grid
    return [
        (
            replace(setting.recipe, optimizer=optimizer, learning_rate=RATES[optimizer][rank], batch_size=batch, decay=decay),
            rank,
        )
        for optimizer, rank, batch, decay in itertools.product(RATES, range(size), BATCH_SIZES[:size], DECAYS[:size])
    ]


def run(setting: Setting, number: int) -> list[Row]:
    """Repetition `number` of `setting.runs` takes its share of the grid."""
    return [_measured(setting, recipe, rank) for recipe, rank in grid(setting)[number :: setting.runs]]


def _measured(setting: Setting, recipe: Recipe, rank: int) -> Row:
    images = setting.images
    model = train(BUILD[setting.name], images, recipe, 0).final
    measurement = measured("model", model, setting)
    test_loss, test_accuracy = evaluate(model, images.x_test, images.y_test)
    return {
        "optimizer": recipe.optimizer,
        "rate": rank,
        "batch size": recipe.batch_size,
        "decay": recipe.decay,
        "gap": test_loss - measurement.loss,
        "test accuracy": test_accuracy,
        "measurement": measurement,
    }


def summary(data_set: str, rows: list[Row]) -> list[Row]:
    least = LEAST_ACCURACY if any(row["measurement"].accuracy >= LEAST_ACCURACY for row in rows) else 0.0
    kept = [row for row in rows if row["measurement"].accuracy >= least]
    if len(kept) < MIN_MODELS:
        return []
    settings = [{name: row[name] for name in ("optimizer", "rate", "batch size", "decay")} for row in kept]
    values = {title: [getattr(row["measurement"], field) for row in kept] for title, field in MEASURES.items()}
    return [
        {
            "data": data_set,
            "measure": result.measure,
            "models": f"{result.models} of {len(rows)}",
            "Spearman": f"{result.spearman:.2f}",
            "Kendall": f"{result.kendall:.2f}",
            "granulated Kendall": f"{result.granulated:.2f}",
            **{f"by {axis}": f"{value:.2f}" for axis, value in result.axes.items()},
        }
        for result in correlate(values, [row["gap"] for row in kept], settings)
    ]


if __name__ == "__main__":
    main("correlation", __doc__, run, summary, only=ONLY)
