"""The torch modules of convolutions: the only part of the operator that loads torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Dense(nn.Linear):
    """On records (B, C, H, W), which it flattens; scores (B, out, 1, 1)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = super().forward(x.flatten(1))
        return scores.view(len(scores), self.out_features, 1, 1)


class Cropped(nn.Conv2d):
    """With fewer rows and columns than fit: the first `outputs` of them."""

    def __init__(self, *layer: Any, outputs: tuple[int, int], **options: Any) -> None:
        super().__init__(*layer, **options)
        self._outputs = outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)[:, :, : self._outputs[0], : self._outputs[1]]


class Framed(nn.Conv2d):
    """With so many zeros to the left and right, above and below; negative numbers leave columns and rows out."""

    def __init__(self, *layer: Any, frame: tuple[int, int, int, int], **options: Any) -> None:
        super().__init__(*layer, **options)
        self._frame = frame

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.pad(x, self._frame))
