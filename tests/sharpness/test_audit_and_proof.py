"""The audit and the proof measure the same by default: F of a model, frozen parameters or not."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from zkds.api import commit, prove, verify
from zkds.dataset.records import from_arrays
from zkds.sharpness import directional_sharpness

pytestmark = pytest.mark.slow


def test_folded_batch_norm_has_the_same_value(tmp_path):
    """Folding leaves a bias with requires_grad=False, which a proof can't tell from the others."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    x, y = generator.integers(0, 256, (50, 6, 6), dtype=np.uint8), np.arange(50) % 3
    convolution, norm = nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2)
    norm(convolution(torch.rand(20, 1, 6, 6)))
    folded = fuse_conv_bn_eval(convolution.eval(), norm.eval())
    model = nn.Sequential(folded, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)).double().eval()
    assert not model[0].bias.requires_grad

    seed = bytes(range(32))
    commit((x, y), tmp_path / "data.root")
    proven = verify(prove(model, tmp_path / "data.root", seed=seed)).statement.results.values[0] / 2**48
    audited = directional_sharpness(model, from_arrays(x, y), seed=seed)
    assert audited.value == pytest.approx(proven, abs=1e-6)
    assert not model[0].bias.requires_grad and model[0].bias.grad is None
