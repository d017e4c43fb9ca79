"""Directional sharpness in PyTorch, for those who hold the data: the probe, and the baselines that it is compared with."""

from zkds.dataset.sampling import probe_seed
from zkds.sharpness.ascent import worst_case_sharpness
from zkds.sharpness.baselines import Baselines, baselines, evaluate, gradient_coherence, gradient_sharpness
from zkds.sharpness.config import SharpnessConfig
from zkds.sharpness.objective import Evaluation, Objective
from zkds.sharpness.probe import directional_sharpness, probe_batches
from zkds.sharpness.result import Probe, SharpnessResult, Step

__all__ = [
    "Baselines",
    "Evaluation",
    "Objective",
    "Probe",
    "SharpnessConfig",
    "SharpnessResult",
    "Step",
    "baselines",
    "directional_sharpness",
    "evaluate",
    "gradient_coherence",
    "gradient_sharpness",
    "probe_batches",
    "probe_seed",
    "worst_case_sharpness",
]
