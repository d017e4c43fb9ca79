"""Directional sharpness in PyTorch, for those who hold the data: the probe, and the baselines that it is compared with."""

from zkds.sharpness.config import SharpnessConfig
from zkds.sharpness.probe import directional_sharpness, probe_batches, probe_seed
from zkds.sharpness.result import Probe, SharpnessResult, Step

__all__ = ["Probe", "SharpnessConfig", "SharpnessResult", "Step", "directional_sharpness", "probe_batches", "probe_seed"]
