"""Label noise: 10 % of the training labels are wrong (Section 5.1, "Noisy labels").

The benign model is trained on clean labels, the faulty one on noisy labels; both are measured on the clean training images.
Three ways to match them: the paper's (both stopped at 90 % training accuracy, each on its own labels), both stopped at the
same test accuracy, both trained to the end.
"""

from bench.experiments.data import noisy_labels
from bench.experiments.harness import Row, Setting, main
from bench.experiments.networks import BUILD
from bench.experiments.pairs import pair, summary
from bench.experiments.training import Stop, train

SHARE = 0.1
TRAINING_ACCURACY = 0.9
TEST_ACCURACY = 0.9


def run(setting: Setting, number: int) -> list[Row]:
    clean = setting.images
    trainings = []
    for images in (clean, noisy_labels(clean, SHARE, number)):
        stops = {
            f"stopped at {TRAINING_ACCURACY:.0%} training accuracy": Stop(images.x, images.y, TRAINING_ACCURACY),
            f"stopped at {TEST_ACCURACY:.0%} test accuracy": Stop(clean.x_test, clean.y_test, TEST_ACCURACY),
        }
        trainings.append(train(BUILD[setting.name], images, setting.recipe, number, stops=stops))
    benign, faulty = trainings
    reached = [name for name in benign.stopped if name in faulty.stopped]
    return [
        *(pair(setting, name, benign.stopped[name], faulty.stopped[name]) for name in reached),
        pair(setting, f"after {setting.epochs} epochs", benign.final, faulty.final),
    ]


if __name__ == "__main__":
    main("label_noise", __doc__, run, summary)
