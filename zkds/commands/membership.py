"""`zkds membership`: can members of the training data be told from other examples?"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from zkds.commands import DONE, Commands, add_parser
from zkds.commands.data import add_data_options, read_records
from zkds.commands.model_options import add_model_options, model_choice
from zkds.commands.probing import (
    add_probe_options,
    check_model,
    check_outputs,
    number,
    print_json,
    print_settings,
    print_table,
    probe_config,
    seed_of,
    set_threads,
    settings,
    words,
)
from zkds.commands.progress import Stages
from zkds.dataset.records import Records
from zkds.dataset.sampling import permutation_prefix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from zkds.sharpness.membership import Attack, Score

    Sample = tuple[list[int], torch.Tensor, torch.Tensor]  # record numbers, inputs, labels

TITLES = {"loss": "loss", "asam": "ASAM sharpness", "sharpness": "directional sharpness"}
EXAMPLES = """examples:
  zkds membership --model m.pt --data train.npz --test test.npz
  zkds membership --model m.pt --data mnist.npz --arrays x_train y_train --test mnist.npz --test-arrays x_test y_test \\
                  --examples 200 --csv scores.csv

--data are the members, which the model was trained on; --test are others of the same kind. The lower an example's score, the
more it is taken for a member. AUC 0.5 is chance, 1 gives every member away; below 0.5 the score points the wrong way."""


def add(commands: Commands) -> None:
    parser = add_parser(
        commands,
        "membership",
        summary="membership inference with the metric of single examples",
        description="How well loss, ASAM and directional sharpness of single examples give the training data away.",
        examples=EXAMPLES,
    )
    parser.add_argument("--model", metavar="FILE", required=True, help="your own model file, as for zkds audit")
    parser.add_argument("--test", metavar="PATH", required=True, help="examples that the model was not trained on")
    parser.add_argument("--test-arrays", nargs=2, metavar=("X", "Y"), help="names in it (default: those of --arrays)")
    parser.add_argument("--examples", type=int, default=1000, metavar="N", help="of each, drawn by the seed (default: 1000)")
    add_model_options(parser)
    add_data_options(parser)
    add_probe_options(parser, probes=None)
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes, -1 for one a core (default: 1)")
    parser.add_argument("--csv", metavar="FILE", help="write every example's scores, one line each")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    set_threads(options)
    from zkds.sharpness.membership import attack
    from zkds.sharpness.model_file import load_module

    check_outputs(options)
    check_model(options.model)
    if options.examples < 1:
        raise ValueError(f"--examples: expected at least 1, got {options.examples}")
    seed = seed_of(options)
    model = load_module(options.model, **model_choice(options))
    members = _sample(read_records(options), options.examples, seed)
    others = _sample(read_records(options, options.test, options.test_arrays), options.examples, seed)
    inside, outside = _scores(model, members, others, options)
    attacks = [attack(score, inside[score], outside[score]) for score in inside]
    if options.csv:
        from zkds.sharpness.tables import write_csv

        write_csv(options.csv, [*_rows(True, members[0], inside), *_rows(False, others[0], outside)])
    if options.json:
        counts = {"members": len(members[0]), "others": len(others[0])}
        print_json(settings(options, seed) | {"model": options.model, "test": options.test} | counts | {"attacks": attacks})
        return DONE
    with words(options):
        print(f"{options.model}: {len(members[0])} members, {len(others[0])} others\n")
        _print(attacks)
        print_settings(options, seed)
    return DONE


def _sample(records: Records, count: int, seed: bytes) -> Sample:
    """At most `count` records, drawn by the seed, in order."""
    from zkds.sharpness.examples import as_examples

    chosen = sorted(permutation_prefix(seed, records.count, min(count, records.count)))
    x, y = as_examples(records).fetch(chosen)
    return chosen, x, y


def _scores(
    model: torch.nn.Module, members: Sample, others: Sample, options: argparse.Namespace
) -> list[Mapping[Score, NDArray[np.float64]]]:
    from zkds.sharpness.membership import example_scores

    config = probe_config(options)
    total = len(members[0]) + len(others[0])
    with Stages({"members": len(members[0]) / total, "others": len(others[0]) / total}, unit="examples") as stages:
        found: list[Mapping[Score, NDArray[np.float64]]] = []
        for stage, (_, x, y) in (("members", members), ("others", others)):
            stages.begin(stage)
            found.append(example_scores(model, x, y, config, jobs=options.jobs, progress=stages.report))
    return found


def _rows(member: bool, records: Sequence[int], scores: Mapping[Score, NDArray[np.float64]]) -> list[dict[str, object]]:
    return [
        {"member": int(member), "record": record, **{score: float(values[row]) for score, values in scores.items()}}
        for row, record in enumerate(records)
    ]


def _print(attacks: Sequence[Attack]) -> None:
    print_table(
        [
            {"score": TITLES[each.score], "AUC": f"{each.auc:.3f}", "best accuracy": f"{each.accuracy:.3f}",
             "threshold": number(each.threshold)}
            for each in attacks
        ]
    )  # fmt: skip
