"""The fixed-point semantics, executable by itself: `run` computes a whole probe on integers (docs/fixed-point.md)."""

from zkds.circuits.networks.trajectory import Trajectory
from zkds.circuits.semantics.probe import run

__all__ = ["Trajectory", "run"]
