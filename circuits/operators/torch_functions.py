"""Torch modules without parameters, for operators that have no class of their own in torch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


class Function(nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self._function = function

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self._function(*inputs)
