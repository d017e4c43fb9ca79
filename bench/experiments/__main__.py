"""All experiments, one after the other: python -m bench.experiments [--toy] [--data mnist.npz]."""

from bench.experiments import (
    backdoor,
    correlation,
    label_noise,
    membership,
    quantisation,
    sgd_sam,
    small_test_set,
    spurious_square,
    untrained,
)
from bench.experiments.harness import DATA_SETS, arguments, main

EXPERIMENTS = (
    label_noise,
    spurious_square,
    backdoor,
    sgd_sam,
    quantisation,
    small_test_set,
    untrained,
    correlation,
    membership,
)

if __name__ == "__main__":
    options = arguments(__doc__).parse_args()
    for experiment in EXPERIMENTS:
        name = experiment.__name__.rpartition(".")[2]
        main(
            name,
            experiment.__doc__ or name,
            experiment.run,
            experiment.summary,
            options,
            getattr(experiment, "ONLY", DATA_SETS),
        )
