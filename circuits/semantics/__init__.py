"""The fixed-point semantics, executable by itself: `run` computes a whole probe on integers (docs/fixed-point.md)."""

from zkds.circuits.semantics.probe import run
from zkds.circuits.semantics.trajectory import Trajectory

__all__ = ["Trajectory", "run"]
