"""Results that say nothing about sharpness: their names, and sentences about them that every command shares.

A trained network whose last layer is multiplied by a constant predicts as before, but its losses sink below what arithmetic
resolves: ratios are then noise, or all equal, and the value is as low as one likes. Outputs that belong to no class of the data
set are weights that only widen or shrink the gradient. Neither is a flat minimum, so a verifier refuses both by default.
"""

from __future__ import annotations

from zkds.circuits.fixed_point import LOSS_FLOOR_BITS

SATURATED = "saturated batches"
BELOW_EPS = "ratios below eps"
SURPLUS = "surplus classes"
FEW_RECORDS = "records below the minimum"

LOSS_FLOOR = 2.0**-LOSS_FLOOR_BITS  # nats, of a batch's mean loss


def saturated_words(saturated: int, steps: int) -> str:
    """A sentence about batches whose mean loss is below LOSS_FLOOR."""
    return f"{_of(saturated, steps)} a mean loss below 2^-{LOSS_FLOOR_BITS}: the network is saturated, and the value inaccurate"


def below_eps_words(below_eps: int, steps: int) -> str:
    """A sentence about batches whose ratio s^2 / L is below eps."""
    return f"{_of(below_eps, steps)} a ratio s^2 / L below eps: the value says what eps is, not how sharp the loss is"


def surplus_words(surplus_classes: int) -> str:
    """A sentence about outputs that the data set has no class for."""
    many = "outputs that belong" if surplus_classes > 1 else "output that belongs"
    return f"the network has {surplus_classes} {many} to no class of the data set"


def degenerate_warnings(*, steps: int, saturated: int, below_eps: int, surplus_classes: int) -> list[str]:
    """What `audit`, `calibrate` and `prove` warn of and `verify` refuses, a sentence each after its name.

    steps             batches that were counted, of one probe or of several
    saturated         how many of them have a mean loss below LOSS_FLOOR
    below_eps         how many have s^2 / L < eps
    surplus_classes   outputs of the network beyond the data set's classes
    """
    warnings = [f"{SATURATED}: {saturated_words(saturated, steps)}"] if saturated else []
    warnings += [f"{BELOW_EPS}: {below_eps_words(below_eps, steps)}"] if below_eps else []
    return warnings + ([f"{SURPLUS}: {surplus_words(surplus_classes)}"] if surplus_classes > 0 else [])


def _of(count: int, steps: int) -> str:
    return f"{count} of {steps} {'batch has' if steps == 1 else 'batches have'}"
