"""`zkds calibrate`: a threshold from models of known quality."""

from __future__ import annotations

import argparse
import math
from fractions import Fraction
from typing import TYPE_CHECKING

from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.policy import CalibrationRates, Policy
from zkds.circuits.certificate.policy_file import policy_text
from zkds.circuits.certificate.threshold import LIMITS, Threshold
from zkds.commands import DONE, Commands, add_parser
from zkds.commands.probing import (
    add_grid_options,
    measure_files,
    number,
    print_json,
    print_settings,
    print_table,
    print_warnings,
    proof_configuration,
    seed_of,
    set_threads,
    settings,
    warnings_of,
    words,
)
from zkds.output import write_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkds.sharpness.calibrate import Calibration, ErrorRate
    from zkds.sharpness.grid import Measurement

NAT_UNITS = 10**9  # of limits in a policy
SHARE_UNITS = 10**4  # of error rates there

EXAMPLES = """examples:
  zkds calibrate --good a.pt b.pt c.pt --data train.npz
                                            tau that rejects a good model at most 5 % of the time
  zkds calibrate --good a.pt b.pt --bad noisy.pt --limit false-acceptance --risk 0.01 --probes 100 --data train.npz
                                            tau that accepts a bad model at most 1 % of the time
  zkds calibrate --good a.pt b.pt --batch-size 16 --steps 10 --data train.npz -o tau.json
                                            with the settings of the paper, written down for --tau tau.json
  zkds calibrate --good a.pt b.pt --bad noisy.pt --data train.npz --policy policy.toml
                                            a policy for zkds verify, with the errors that it makes on unseen models

tau is no constant: it holds for one probe of models like these, on this data, with these settings, which are a proof's unless
given. zkds audit and zkds verify take tau.json as --tau, and warn where their settings are others. Untrained networks have the
lowest F of all, so ask for loss and accuracy beside it."""


def add(commands: Commands) -> None:
    parser = add_parser(
        commands,
        "calibrate",
        summary="choose the threshold tau",
        description="The threshold on directional sharpness, from models of known quality, at a chosen risk.",
        examples=EXAMPLES,
    )
    parser.add_argument("--good", nargs="+", metavar="FILE", required=True, help="models that should be accepted")
    parser.add_argument("--bad", nargs="+", metavar="FILE", default=[], help="models that should be rejected")
    parser.add_argument("--risk", type=float, default=0.05, metavar="P", help="probability of the error (default: 0.05)")
    parser.add_argument(
        "--limit", choices=LIMITS, default=LIMITS[0], help="which error stays within the risk (default: false-rejection)"
    )
    add_grid_options(parser, probes=20)
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write tau and its settings as JSON, for --tau of audit and verify"
    )
    parser.add_argument(
        "--policy",
        metavar="FILE",
        help="write tau, its settings, limits on loss, accuracy and margin, and their errors as a policy, for verify",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    set_threads(options)
    from zkds.sharpness.calibrate import calibrate, check_risk

    check_risk(options.risk, options.limit, bad=len(options.bad))
    if options.policy and options.parameters != "all":
        raise ValueError("--policy: expected --parameters all, which a proof is about")
    if options.policy and len(options.good) < 2:
        raise ValueError("--policy: expected two good models or more: its errors are stated")
    written = next((f"--{name}" for name in ("output", "policy") if getattr(options, name)), None)
    configuration = None if written is None else proof_configuration(options, written)
    seed = seed_of(options)
    found = measure_files([*options.good, *options.bad], options, seed)
    good, bad = found[: len(options.good)], found[len(options.good) :]
    result = calibrate(good, bad, risk=options.risk, limit=options.limit)
    if options.output and configuration is not None:
        write_result(options.output, threshold_of(result, configuration, options.parameters).to_json().encode())
    if options.policy and configuration is not None:
        write_result(options.policy, policy_text(policy_of(result, configuration, good, bad)).encode())
    if options.plot:
        from zkds.sharpness.plots import plot_calibration, save

        save(plot_calibration(result, good, bad), options.plot)
    warnings = [*result.warnings, *warnings_of(good)]
    if options.json:
        print_json(settings(options, seed) | {"calibration": result, "models": found, "warnings": warnings})
        return DONE
    with words(options):
        _print(result, good, bad)
        print_settings(options, seed)
        print_warnings(warnings)
    return DONE


def threshold_of(result: Calibration, configuration: Configuration, parameters: str) -> Threshold:
    """The calibration as a file has it."""
    return Threshold(
        tau=Fraction(result.tau),
        configuration=configuration,
        limit=result.limit,
        risk=result.risk,
        false_rejection=result.false_rejection,
        false_acceptance=None if math.isnan(result.false_acceptance) else result.false_acceptance,
        parameters=parameters,
    )


def policy_of(
    result: Calibration, configuration: Configuration, good: Sequence[Measurement], bad: Sequence[Measurement]
) -> Policy:
    """The calibration as a policy, to which its reader adds what else is asked.

    Raises ValueError for a single good model, or if only a tau below 0 would keep within the risk.
    """
    from zkds.sharpness.limits import policy_limits

    limits, rejection, acceptance = policy_limits(result, good, bad, configuration.steps * configuration.batch_size)
    unknown = math.isnan(acceptance.share)
    return Policy(
        configuration,
        tau=_tau(limits.tau, result.limit),
        max_loss=_at_least(limits.max_loss),
        min_accuracy=_rounded(limits.min_accuracy),
        max_margin=Fraction(limits.max_margin),
        calibration=CalibrationRates(
            limit=result.limit,
            risk=Fraction(str(result.risk)),
            false_rejection=_rounded(rejection.share),
            false_rejection_interval=_both(rejection),
            false_acceptance=None if unknown else _rounded(acceptance.share),
            false_acceptance_interval=None if unknown else _both(acceptance),
        ),
    )


def _tau(tau: float, limit: str) -> Fraction:
    """Rounded to the side that keeps within the risk what tau was chosen for: what set tau stays on its side."""
    if limit == "false-rejection":
        return _at_least(tau)
    units = math.floor(Fraction(tau) * NAT_UNITS)
    if units < 0:
        raise ValueError("--policy: a bad model has the value 0, so every tau accepts it; allow a larger risk, or leave it out")
    return Fraction(units, NAT_UNITS)


def _at_least(nats: float) -> Fraction:
    return Fraction(math.ceil(Fraction(nats) * NAT_UNITS), NAT_UNITS)


def _both(rate: ErrorRate) -> tuple[Fraction, Fraction]:
    low, high = rate.interval
    return _rounded(low), _rounded(high)


def _rounded(share: float) -> Fraction:
    return Fraction(round(share * SHARE_UNITS), SHARE_UNITS)


def _print(result: Calibration, good: Sequence[Measurement], bad: Sequence[Measurement]) -> None:
    low, high = result.interval
    print(f"tau               {result.tau:.4g}")
    print(f"  over seeds      ± {result.error:.2g}, 5 % to 95 %: {low:.4g} to {high:.4g}")
    if result.without_one_model[0] == result.without_one_model[0]:
        least, most = result.without_one_model
        print(f"  over models     {least:.4g} to {most:.4g} with one model left out")
    print(f"good rejected     {result.false_rejection:.1%}{_unseen(result.unseen_rejection)}")
    if bad:
        print(f"bad accepted      {result.false_acceptance:.1%}{_unseen(result.unseen_acceptance)}")
        print(f"separation        {result.separation:.2f} (1: apart, 0.5: chance, below: the wrong way round)")
    print()
    print_table([_row(model, "good") for model in good] + [_row(model, "bad") for model in bad])


def _unseen(rate: ErrorRate) -> str:
    low, high = rate.interval
    return "" if math.isnan(rate.share) else f"; of models that had no part in tau {rate.share:.1%} ({low:.0%} to {high:.0%})"


def _row(model: Measurement, quality: str) -> dict[str, str]:
    return {
        "model": model.name,
        "quality": quality,
        "F": number(model.mean, model.spread),
        "loss": number(model.loss),
        "accuracy": f"{model.accuracy:.1%}",
    }
