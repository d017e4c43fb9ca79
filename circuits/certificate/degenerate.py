"""Results that say nothing about sharpness: their names, and sentences about them that every command shares.

A trained network whose last layer is multiplied by a constant predicts as before, but its losses sink below what arithmetic
resolves: ratios are then noise, or all equal, and the value is as low as one likes. Outputs that belong to no class of the data
set are weights that only widen or shrink the gradient. Neither is a flat minimum, so a verifier refuses both by default.
"""

from __future__ import annotations

from zkds.circuits.arithmetic.fixed_point import LOSS_FLOOR_BITS

SATURATED = "saturated batches"
BELOW_EPS = "ratios below eps"
SURPLUS = "surplus classes"
FEW_RECORDS = "records below the minimum"
FEW_LABELS = "labels below the minimum"
WIDE_MARGIN = "margin above the maximum"

LOSS_FLOOR = 2.0**-LOSS_FLOOR_BITS  # nats, of a batch's mean loss


def saturated_words(saturated: int, steps: int) -> str:
    """About batches whose mean loss is below LOSS_FLOOR."""
    floor = f"2^-{LOSS_FLOOR_BITS}"
    return f"{saturated} of {steps}, with a mean loss below {floor} nats: too little of it is left for the value to be exact"


def below_eps_words(below_eps: int, steps: int) -> str:
    """About batches whose ratio s^2 / L is below eps."""
    return f"{below_eps} of {steps}, s^2 / L being smaller: the value says what eps is, not how sharp the loss is"


def surplus_words(surplus_classes: int) -> str:
    """About outputs that the data set has no class for."""
    return f"{surplus_classes}, outputs of the network that no record of the data set can be labelled with"


def degenerate_warnings(*, steps: int, saturated: int, below_eps: int, surplus_classes: int) -> list[str]:
    """What `audit`, `calibrate` and `prove` warn of and `verify` refuses: its name, then words.

    steps             batches that were counted, of one probe or of several
    saturated         how many of them have a mean loss below LOSS_FLOOR
    below_eps         how many have s^2 / L < eps
    surplus_classes   outputs of the network beyond the data set's classes
    """
    warnings = [f"{SATURATED}: {saturated_words(saturated, steps)}"] if saturated else []
    warnings += [f"{BELOW_EPS}: {below_eps_words(below_eps, steps)}"] if below_eps else []
    return warnings + ([f"{SURPLUS}: {surplus_words(surplus_classes)}"] if surplus_classes > 0 else [])
