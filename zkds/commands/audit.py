"""`zkds audit`: the float metric of a model on data that one holds, and what it takes to judge it."""

from __future__ import annotations

import argparse
import math
import shlex
from typing import TYPE_CHECKING, Any

from zkds.circuits.arithmetic.fixed_point import RESULT_FRACTION_BITS, Configuration
from zkds.circuits.certificate.statement import MAX_PROBES
from zkds.circuits.certificate.threshold import read_threshold
from zkds.circuits.networks.weights import range_problem
from zkds.commands import DONE, REJECTED, Commands, add_parser
from zkds.commands.data import add_data_options, read_records
from zkds.commands.model_options import add_model_options, model_choice
from zkds.commands.probe_options import add_evaluate
from zkds.commands.probing import (
    add_probe_options,
    check_model,
    check_outputs,
    number,
    print_json,
    print_table,
    print_warnings,
    probe_config,
    proof_configuration,
    set_threads,
    words,
)
from zkds.commands.progress import Stages
from zkds.dataset.sampling import probe_seed
from zkds.output import write_result

if TYPE_CHECKING:
    import torch

    from zkds.integers.limbs import I64
    from zkds.sharpness import Baselines, SharpnessResult

EXAMPLES = """examples:
  zkds audit --model m.pt --data train.npz                   the training data: arrays x and y
  zkds audit --model m.pt --data train.npz --probes 10       how much the value depends on the seed
  zkds audit --model m.pt --data train.npz --seed HEX        the batches of a proof with this seed
  zkds audit --model m.pt --data train.npz --baselines       static sharpness beside it; takes much longer
  zkds audit --model m.pt --data train.npz --tau tau.json --report report.html
                                                             a page with the verdict; exits with 1 if not accepted

The value has no meaning of its own: compare it with that of models of known quality on data of the same kind. Untrained
networks have the smallest values of all; loss and accuracy tell them."""

MODEL_HELP = "your own model: any program of torch.export (its code is run), or a checkpoint of a network of the zoo"
NOT_REPEATED = ("run", "json", "output", "report", "seed")
BASELINES_SHARE = 100.0  # expected time of the static baselines, in probes

STATIC_NAMES = {
    "loss": "loss, all records",
    "accuracy": "accuracy, all records",
    "sam": "SAM sharpness",
    "asam": "ASAM sharpness",
    "worst_case": "worst case",
    "magnitude_aware_worst_case": "worst case by magnitude",
    "gradient_coherence": "gradient coherence",
}


def add(commands: Commands) -> None:
    parser = add_parser(
        commands,
        "audit",
        summary="measure directional sharpness of a model on its training data",
        description="Measure directional sharpness of a model on its training data, in float64.",
        examples=EXAMPLES,
    )
    parser.add_argument("--model", metavar="FILE", required=True, help=MODEL_HELP)
    add_model_options(parser)
    add_data_options(parser)
    add_probe_options(parser, probes=1)
    parser.add_argument("--device", default="cpu", help="where torch computes: cpu, cuda, cuda:1, ... (default: cpu)")
    parser.add_argument("--baselines", action="store_true", help="static sharpness and gradient coherence, on all of the data")
    parser.add_argument("--fixed", action="store_true", help="compute the probe in the integers of a proof, too")
    add_evaluate(
        parser, "loss and accuracy on the records that a proof's --evaluate would draw, too; reads the opening beside ROOT"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the result as JSON, too")
    parser.add_argument("--report", metavar="FILE", help="write it as an HTML page that stands alone, too")
    parser.add_argument(
        "--tau", metavar="X", help="accept the model if F <= X and it looks trained; a number, or a file of zkds calibrate -o"
    )
    parser.add_argument(
        "--allow-saturated", action="store_true", help="accept batches whose loss is near 0, and ratios below eps"
    )
    parser.add_argument(
        "--allow-surplus-classes", action="store_true", help="accept a network with more outputs than the data has classes"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    set_threads(options)
    from zkds.sharpness.tables import to_json
    from zkds.sharpness.verdict import verdict

    check_outputs(options)
    configuration = fixed_configuration(options) if options.fixed else None
    tau, differences = read_tau(options)
    module, result, static = measure(options)
    fixed = None if configuration is None else measure_fixed(options, configuration, result.seed)
    evaluations = [measure_evaluation(options, module, result.seed, k) for k in range(1, len(options.evaluate or []) + 1)]
    found = verdict(result, tau, allow_saturated=options.allow_saturated, allow_surplus_classes=options.allow_surplus_classes)
    code = REJECTED if tau is not None and found.decision == "rejected" else DONE
    beside = [*out_of_range(module), *differences]
    warnings = [*result.warnings, *beside]
    document = {"model": options.model, "data": options.data, **result.to_dict(), "warnings": warnings}
    if tau is not None:
        document |= {"tau": tau, "verdict": found.decision}
    if static:
        document["baselines"] = static.to_dict()
    if fixed is not None:
        document["fixed"] = fixed
    if evaluations:
        document["evaluations"] = evaluations
    if options.output:
        write_result(options.output, to_json(document).encode())
    if options.report:
        from zkds.sharpness.report import Subject, html_report

        subject = Subject(options.model, options.data, command_again(options, result.seed))
        page = html_report(result, subject, baselines=static, tau=tau, found=found, warnings=beside)
        write_result(options.report, page.encode())
    if options.json:
        print_json(document)
        return code
    with words(options):
        if tau is not None:
            print(f"{found.words}. {found.reason}\n")
        _print(options, result)
        if fixed is not None:
            print(f"\nin a proof's integers  {fixed['value']:.9g}, loss {fixed['loss']:.9g}, accuracy {fixed['accuracy']:.1%}")
        for number, found_there in enumerate(evaluations, 1):
            _print_evaluation(number, found_there)
        if static:
            print()
            print_table(
                [{"static baseline": STATIC_NAMES[name], "value": f"{value:.4g}"} for name, value in static.to_dict().items()]
            )
        if warnings:
            print()
            print_warnings(warnings)
    return code


def fixed_configuration(options: argparse.Namespace) -> Configuration:
    """What a proof with these settings would prove. Raises ValueError for settings that proofs do not have."""
    if options.parameters != "all":
        raise ValueError(f"--fixed: proofs have --parameters all, got {options.parameters}")
    if options.probes > MAX_PROBES:
        raise ValueError(f"--fixed: proofs have at most {MAX_PROBES} probes, got {options.probes}")
    return proof_configuration(options, "--fixed")


def read_tau(options: argparse.Namespace) -> tuple[float | None, list[str]]:
    """--tau, a number or a file of `zkds calibrate -o`, and in words how its settings differ from those of this probe."""
    if options.tau is None:
        return None, []
    try:
        tau = float(options.tau)
    except ValueError:
        calibrated = read_threshold(options.tau)
        return float(calibrated.tau), list(calibrated.differences(proof_configuration(options, "--tau"), options.parameters))
    if not 0 <= tau < math.inf:
        raise ValueError(f"--tau: expected a number that is not negative, or a file of zkds calibrate -o, got {options.tau}")
    return tau, []


def measure_fixed(options: argparse.Namespace, configuration: Configuration, seed: bytes) -> dict[str, Any]:
    """Value, loss and accuracy of the fixed-point semantics; the integers are those that a proof would publish."""
    from zkds.circuits.metric.results import results_of
    from zkds.circuits.model_files.model_file import load_model
    from zkds.circuits.networks.weights import quantise
    from zkds.circuits.probe_records import probe_records

    model = load_model(options.model, **model_choice(options))
    weights = quantise(model.network, model.parameters)
    records, seeds = read_records(options), [probe_seed(seed, number) for number in range(options.probes)]
    results = results_of(*(probe_records(model.network, weights, records, configuration, each) for each in seeds))
    assert results.values is not None
    unit, samples = 1 << RESULT_FRACTION_BITS, options.probes * configuration.steps * configuration.batch_size
    return {
        "value": sum(results.values) / unit / options.probes,
        "loss": results.total_loss / unit / samples,
        "accuracy": results.correct / samples,
        "value_integers": list(results.values),
        "total_loss_integer": results.total_loss,
        "correct": results.correct,
        "saturated": results.saturated,
        "below_eps": results.below_eps,
        "labels": results.labels,
        "margin": results.margin,
    }


def measure_evaluation(options: argparse.Namespace, module: torch.nn.Module, seed: bytes, number: int) -> dict[str, Any]:
    """Evaluation `number` of a proof with this seed: in floating point, and with --fixed the integers that it would publish."""
    from zkds.api import data_root
    from zkds.circuits.arithmetic.fixed_point import ACTIVATION_BITS
    from zkds.circuits.certificate.evaluations import Evaluation
    from zkds.circuits.probe_records import network_inputs
    from zkds.dataset.files import opening_path
    from zkds.dataset.membership import Membership
    from zkds.dataset.opening import Opening
    from zkds.sharpness import evaluate

    path, count = options.evaluate[number - 1]
    root = data_root(path)
    evaluation = Evaluation(root, count)
    with Opening(opening_path(path), root) as opening:
        inputs, labels = network_inputs(root.schema, Membership.open(opening, evaluation.indices(seed, number))[1])
    seen = (inputs[0] / float(1 << ACTIVATION_BITS)).reshape(count, *root.schema.shape)
    found = evaluate(module, (seen, labels[0]), device=torch_device(options.device))
    document = {"root": path, "data_root": root.digest().hex(), "samples": count, "records": root.count}
    document |= {"loss": found.loss, "accuracy": found.accuracy, "correct": int(found.correct.sum())}
    return document | (evaluation_in_integers(options, inputs, labels, number) if options.fixed else {})


def evaluation_in_integers(options: argparse.Namespace, inputs: I64, labels: I64, number: int) -> dict[str, Any]:
    """What a proof would say of these records, (1, n, ..)."""
    from zkds.circuits import evaluation
    from zkds.circuits.arithmetic.fixed_point import Place
    from zkds.circuits.model_files.model_file import load_model
    from zkds.circuits.networks.weights import quantise

    model = load_model(options.model, **model_choice(options))
    weights = quantise(model.network, model.parameters)
    found = evaluation.run(model.network, weights, inputs, labels, Place(evaluation=number))
    return {"fixed": {"total_loss_integer": found.total_loss, "correct": found.correct}}


def command_again(options: argparse.Namespace, seed: bytes) -> str:
    """The command that gives this result again: with its seed, and without the files that it writes."""
    again = {name: value for name, value in vars(options).items() if name not in NOT_REPEATED and value is not None}
    evaluations = again.pop("evaluate", [])
    words = ["zkds", "audit", *(word for path, count in evaluations for word in ("--evaluate", f"{path}:{count}"))]
    for name, value in (again | {"seed": seed.hex()}).items():
        if value is not False:
            words.append(f"--{name.replace('_', '-')}")
            words += [] if value is True else map(str, value if isinstance(value, list | tuple) else [value])
    return shlex.join(words)


def measure(options: argparse.Namespace) -> tuple[torch.nn.Module, SharpnessResult, Baselines | None]:
    """The model, the probe that the options describe, and the static baselines if they ask for them."""
    from zkds.sharpness import baselines, directional_sharpness
    from zkds.sharpness.model_file import load_module

    config = probe_config(options)
    check_model(options.model)
    device, records = torch_device(options.device), read_records(options)
    module = load_module(options.model, **model_choice(options))
    expected = {"probing": float(options.probes)} | ({"static baselines": BASELINES_SHARE} if options.baselines else {})
    static = None
    with Stages(expected) as stages:
        stages.begin("probing")
        result = directional_sharpness(module, records, config, options.seed, device=device, progress=stages.report)
        if options.baselines:
            stages.begin("static baselines")
            static = baselines(
                module,
                records,
                rho=config.rho,
                parameters=config.parameters,
                device=device,
                progress=stages.report,
            )
    return module, result, static


def out_of_range(module: torch.nn.Module) -> list[str]:
    """Why `zkds prove` refuses these weights, in its words; for each parameter that it refuses."""
    named = ((name, p.detach().double().numpy()) for name, p in module.named_parameters() if p.is_floating_point())
    problems = (range_problem(name, values) for name, values in named)
    return [f"no proof takes this network: {problem}" for problem in problems if problem is not None]


def torch_device(name: str) -> torch.device:
    """Raises ValueError unless torch can compute there."""
    import torch

    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"--device {name}: {str(error).splitlines()[0]}") from None
    return device


def _print(options: argparse.Namespace, result: SharpnessResult) -> None:
    probes, config = len(result.probes), result.config
    print(f"directional sharpness  {result.value:.6g}{_spread(result)}")
    print(f"loss                   {result.loss:.4g} nats, of the {probes * config.steps * config.batch_size} records probed")
    print(f"accuracy               {result.accuracy:.1%}")
    print(f"margin                 {result.margin} nats at most, largest logit less the second largest of a record")
    print(f"model                  {options.model}, {result.classes} classes")
    print(f"data                   {options.data}, {result.records} records")
    print(f"seed                   {result.seed.hex()}")
    print()
    if probes > 1:
        print(f"values of the probes: {', '.join(number(probe.value) for probe in result.probes)}; the first, step by step:")
    print_table(
        [
            {
                "step": str(t),
                "sharpness": f"{step.sharpness:.4g}",
                "loss": f"{step.loss:.4g}",
                "sharpness^2 / loss": f"{step.ratio:.4g}",
                "accuracy": f"{step.accuracy:.1%}",
            }
            for t, step in enumerate(result.history)
        ]
    )


def _print_evaluation(number: int, found: dict[str, Any]) -> None:
    """One line, and one for the integers of a proof."""
    of = f"{found['samples']:,} of {found['records']:,} records of {found['root']}"
    print(f"\nevaluation {number}           loss {found['loss']:.4g} nats, accuracy {found['accuracy']:.1%}, {of}")
    if "fixed" in found:
        loss = found["fixed"]["total_loss_integer"] / found["samples"] / (1 << RESULT_FRACTION_BITS)
        print(f"in a proof's integers  loss {loss:.9g}, {found['fixed']['correct']} correct")


def _spread(result: SharpnessResult) -> str:
    if result.spread is None:
        return "  (one probe; --probes 10 shows how much the seed matters)"
    return f" ± {result.spread:.2g}  (mean and standard deviation of {len(result.probes)} probes)"
