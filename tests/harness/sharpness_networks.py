"""Small networks and data sets that the tests of the metric share."""

import torch
from torch import Tensor, nn


def convolutional(classes: int = 5) -> nn.Module:
    """3x8x8 images; convolution, batch norm with statistics of its own, dropout, dense. 1,159 parameters for 5 classes."""
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(96, 10),
        nn.ReLU(),
        nn.Linear(10, classes),
    )
    with torch.no_grad():
        model[1].running_mean.uniform_(-0.1, 0.1)
        model[1].running_var.uniform_(0.5, 1.5)
    return model


def dense(features: int = 6, classes: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(features, 8), nn.Tanh(), nn.Linear(8, classes))


def images(count: int = 60, classes: int = 5) -> tuple[Tensor, Tensor]:
    """(N, 3, 8, 8) float32 whose brightest quarter depends on the label, and labels."""
    y = torch.arange(count) % classes
    x = torch.rand(count, 3, 8, 8) * 0.5
    x[torch.arange(count), y % 3, y, y] += 0.5
    return x, y


def features(count: int = 40, size: int = 6, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Gaussian clusters: (N, size) float32 and labels."""
    y = torch.arange(count) % classes
    centres = torch.eye(classes, size) * 2
    return centres[y] + 0.7 * torch.randn(count, size), y


def trained(model: nn.Module, x: Tensor, y: Tensor, steps: int = 100, rate: float = 0.2) -> nn.Module:
    """The model after some steps of plain gradient descent on all of the data, in evaluation mode."""
    model.eval()
    for _ in range(steps):
        gradients = torch.autograd.grad(nn.functional.cross_entropy(model(x), y), list(model.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter -= rate * gradient
    return model
