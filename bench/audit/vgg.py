"""The paper's VGG-16-BN for 3x32x32 images (Simonyan and Zisserman 2015, configuration D, one dense layer), random weights."""

from __future__ import annotations

from torch import nn

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))  # 2x2 max pooling after each


def vgg16_bn(classes: int = 10, width: float = 1.0) -> nn.Module:
    """14.7 million parameters at width 1; the channels of every layer are multiplied by the width."""
    layers: list[nn.Module] = []
    channels = 3
    for stage in STAGES:
        for size in stage:
            out = int(size * width)
            layers += [nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()]
            channels = out
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels, classes)).eval()
