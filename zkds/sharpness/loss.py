"""Cross-entropy of confident networks without cancellation."""

from __future__ import annotations

import torch
from torch import Tensor


def example_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """logsumexp(z) - z[y] of each example, in nats: (B, K), (B,) -> (B,). K is at least 2.

    Computed as ln(1 + exp(logsumexp over i != y of z_i, minus z_y)). The textbook form subtracts two nearly equal numbers, and
    its gradient softmax(z)_y - 1 too: in float32 both are lost once a loss is below 1e-7, where trained networks are.
    """
    index = labels[:, None]
    right = logits.gather(1, index)[:, 0]
    others = logits.scatter(1, index, -torch.inf).logsumexp(dim=1)
    return torch.logaddexp(others - right, torch.zeros_like(right))
