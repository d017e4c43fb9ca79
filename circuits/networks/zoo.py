"""Networks with a name: what a checkpoint {"arch": name, "state_dict": ...} refers to.

    lenet5, lenet5-avg              1x28x28; max- or average-pooling
    lenet5-rgb, lenet5-rgb-avg      3x32x32
    mlp                             1x28x28; 784-128-64-10
    digits-cnn, digits-mlp          1x8x8; for scikit-learn's digits

    vgg11, vgg13, vgg16, vgg19      3x32x32, 10 classes; as torchvision names them: features.0, ..., classifier
    vgg11-bn, ..., vgg19-bn         with batch norm behind every convolution
    alexnet, alexnet-64             3x32x32 and 3x64x64; features.0, ..., classifier; overlapping pools in the second
    resnet18                        3x32x32; torchvision's names (layer1.0.conv1, layer2.0.downsample.0, fc), a stem of 3x3
    resnet20                        3x32x32; the narrow one of CIFAR, 16-32-64 channels, projections where the size changes
    wide-resnet-28-10               3x32x32; batch norm and ReLU before each convolution

    lenet-k, alexnet-k, vgg11-k     1x32x32 and 1x64x64; no biases, average-pooling, 16 classes: those of Kaizen (CCS 2024)

NAME:WIDTH, such as resnet20:1/4, scales the numbers of hidden channels. Their torch modules are made by
zkds.circuits.networks.torch_module.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache, partial

from zkds.circuits.networks.builder import Builder
from zkds.circuits.networks.graph import Network
from zkds.circuits.operators.operator import Shape

CIFAR: Shape = (3, 32, 32)
LARGEST_WIDTH = 4
_WIDTH = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}|/0*[1-9][0-9]{0,5})?")


def _lenet5(width: Fraction, input_shape: Shape, pool: str) -> Network:
    builder = Builder(input_shape, width)
    node = builder.pooled(0, "conv1", 6, 5, pool, padding=(32 - input_shape[1]) // 2)
    node = builder.pooled(node, "conv2", 16, 5, pool)
    return _dense_layers(builder, node, (120, 84), 10)


def _lenet_k(width: Fraction) -> Network:
    builder = Builder((1, 32, 32), width)
    node = builder.pooled(0, "conv1", 4, 5, "average", bias=False)
    node = builder.pooled(node, "conv2", 16, 5, "average", bias=False)
    node = builder.relu(builder.convolution(node, "conv3", 128, 5, bias=False))
    return _dense_layers(builder, node, (32,), 16, bias=False)


def _alexnet_k(width: Fraction) -> Network:
    builder = Builder((1, 64, 64), width)
    node = builder.pooled(0, "conv1", 8, 7, "average", padding=3, bias=False)
    node = builder.pooled(node, "conv2", 8, 5, "average", padding=2, bias=False)
    for name in ("conv3", "conv4"):
        node = builder.relu(builder.convolution(node, name, 16, 3, padding=1, bias=False))
    node = builder.pooled(node, "conv5", 32, 3, "average", padding=1, bias=False)
    return _dense_layers(builder, node, (2048, 512), 16, bias=False)


def _vgg11_k(width: Fraction) -> Network:
    builder, node, number = Builder((1, 64, 64), width), 0, 0
    for group in ((8, 8), (16, 16, 32), (32, 32), (32,)):
        for place, channels in enumerate(group, 1):
            number += 1
            if place == len(group) > 1:
                node = builder.pooled(node, f"conv{number}", channels, 3, "average", bias=False)
            else:
                node = builder.relu(builder.convolution(node, f"conv{number}", channels, 3, bias=False))
    return _dense_layers(builder, node, (2048, 4096, 128), 16, bias=False)


def _dense_layers(builder: Builder, node: int, sizes: Sequence[int], classes: int, *, bias: bool = True) -> Network:
    """fc1, fc2, ...: layers with ReLU between them, the last of which has the scores."""
    for number, size in enumerate(sizes, 1):
        node = builder.relu(builder.dense(node, f"fc{number}", size, bias=bias))
    return builder.scores(node, f"fc{len(sizes) + 1}", classes, bias=bias)


def _mlp(width: Fraction, input_shape: Shape, sizes: Sequence[int]) -> Network:
    return _dense_layers(Builder(input_shape, width), 0, sizes, 10)


def _digits_cnn(width: Fraction) -> Network:
    builder = Builder((1, 8, 8), width)
    node = builder.pooled(0, "conv1", 8, 3, "max", padding=1)
    node = builder.pooled(node, "conv2", 16, 3, "max", padding=1)
    return _dense_layers(builder, node, (32,), 10)


VGG = {
    "11": (1, 1, 2, 2, 2),
    "13": (2, 2, 2, 2, 2),
    "16": (2, 2, 3, 3, 3),
    "19": (2, 2, 4, 4, 4),
}


def _vgg(width: Fraction, layers: Sequence[int], *, batch_norm: bool) -> Network:
    """Five groups of 3x3 convolutions with 64 to 512 channels, a pool behind each, a linear layer."""
    builder, node, place = Builder(CIFAR, width), 0, 0
    for channels, count in zip((64, 128, 256, 512, 512), layers, strict=True):
        for _ in range(count):
            node = builder.convolution(node, f"features.{place}", channels, 3, padding=1)
            if batch_norm:
                node = builder.batch_norm(node, f"features.{place + 1}")
            node = builder.relu(node)
            place += 3 if batch_norm else 2
        node = builder.max_pool(node, 2)
        place += 1
    return builder.scores(node, "classifier", 10)


def _alexnet(width: Fraction, input_shape: Shape, window: int) -> Network:
    """Max pools of `window` with stride 2; the numbers in features are those of torchvision's."""
    builder = Builder(input_shape, width)
    node = builder.relu(builder.convolution(0, "features.0", 64, 11, stride=4, padding=5))
    node = builder.max_pool(node, window, 2)
    node = builder.relu(builder.convolution(node, "features.3", 192, 5, padding=2))
    node = builder.max_pool(node, window, 2)
    for place, channels in ((6, 384), (8, 256), (10, 256)):
        node = builder.relu(builder.convolution(node, f"features.{place}", channels, 3, padding=1))
    return builder.scores(builder.max_pool(node, window, 2), "classifier", 10)


def _resnet(width: Fraction, groups: Sequence[tuple[int, int]]) -> Network:
    """(channels, blocks) of each group; all but the first begin with stride 2."""
    builder = Builder(CIFAR, width)
    stem = builder.convolution(0, "conv1", groups[0][0], 3, padding=1, bias=False)
    node = builder.relu(builder.batch_norm(stem, "bn1"))
    for number, (channels, blocks) in enumerate(groups, 1):
        for block in range(blocks):
            stride = 2 if number > 1 and block == 0 else 1
            node = _basic_block(builder, node, f"layer{number}.{block}", channels, stride)
    return builder.scores(builder.global_average(node), "fc", 10)


def _basic_block(builder: Builder, node: int, name: str, channels: int, stride: int) -> int:
    first = builder.convolution(node, f"{name}.conv1", channels, 3, stride, 1, bias=False)
    first = builder.relu(builder.batch_norm(first, f"{name}.bn1"))
    second = builder.convolution(first, f"{name}.conv2", channels, 3, padding=1, bias=False)
    second = builder.batch_norm(second, f"{name}.bn2")
    short = node
    if builder.shape(node) != builder.shape(second):
        short = builder.convolution(node, f"{name}.downsample.0", channels, 1, stride, bias=False)
        short = builder.batch_norm(short, f"{name}.downsample.1")
    return builder.relu(builder.sum(second, short))


def _wide_resnet(width: Fraction, blocks: int, factor: int) -> Network:
    """Batch norm and ReLU before each convolution (Zagoruyko and Komodakis, BMVC 2016)."""
    builder = Builder(CIFAR, width)
    node = builder.convolution(0, "conv1", 16, 3, padding=1)
    for number, channels in enumerate((16, 32, 64), 1):
        for block in range(blocks):
            name, stride = f"layer{number}.{block}", 2 if number > 1 and block == 0 else 1
            node = _wide_block(builder, node, name, channels * factor, stride)
    node = builder.relu(builder.batch_norm(node, "bn1"))
    return builder.scores(builder.global_average(node), "linear", 10)


def _wide_block(builder: Builder, node: int, name: str, channels: int, stride: int) -> int:
    active = builder.relu(builder.batch_norm(node, f"{name}.bn1"))
    first = builder.convolution(active, f"{name}.conv1", channels, 3, padding=1)
    first = builder.relu(builder.batch_norm(first, f"{name}.bn2"))
    second = builder.convolution(first, f"{name}.conv2", channels, 3, stride, 1)
    short = node
    if builder.shape(node) != builder.shape(second):
        short = builder.convolution(node, f"{name}.shortcut.0", channels, 1, stride)
    return builder.sum(second, short)


ARCHITECTURES: dict[str, Callable[[Fraction], Network]] = {
    "lenet5": partial(_lenet5, input_shape=(1, 28, 28), pool="max"),
    "lenet5-avg": partial(_lenet5, input_shape=(1, 28, 28), pool="average"),
    "lenet5-rgb": partial(_lenet5, input_shape=CIFAR, pool="max"),
    "lenet5-rgb-avg": partial(_lenet5, input_shape=CIFAR, pool="average"),
    "lenet-k": _lenet_k,
    "mlp": partial(_mlp, input_shape=(1, 28, 28), sizes=(128, 64)),
    "digits-cnn": _digits_cnn,
    "digits-mlp": partial(_mlp, input_shape=(1, 8, 8), sizes=(32,)),
    "alexnet-k": _alexnet_k,
    "vgg11-k": _vgg11_k,
    "alexnet": partial(_alexnet, input_shape=CIFAR, window=2),
    "alexnet-64": partial(_alexnet, input_shape=(3, 64, 64), window=3),
    **{f"vgg{name}": partial(_vgg, layers=layers, batch_norm=False) for name, layers in VGG.items()},
    **{f"vgg{name}-bn": partial(_vgg, layers=layers, batch_norm=True) for name, layers in VGG.items()},
    "resnet18": partial(_resnet, groups=((64, 2), (128, 2), (256, 2), (512, 2))),
    "resnet20": partial(_resnet, groups=((16, 3), (32, 3), (64, 3))),
    "wide-resnet-28-10": partial(_wide_resnet, blocks=4, factor=10),
}


def network(architecture: str) -> Network:
    """The description of a network of the zoo: NAME, or NAME:WIDTH with a fraction that scales its hidden channels.

    Raises ValueError, with the names that there are, for another one, and for a width that is not above 0 and at most 4.
    """
    name, colon, width = architecture.partition(":") if isinstance(architecture, str) else (None, "", "")
    if name not in ARCHITECTURES:
        raise ValueError(f"architecture: expected one of {', '.join(ARCHITECTURES)}, got {str(architecture)[:60]!r}")
    return _network(name, _read_width(width) if colon else Fraction(1))


def is_known(architecture: object) -> bool:
    """Whether it names a network of the zoo, with a width or without one."""
    return isinstance(architecture, str) and architecture.partition(":")[0] in ARCHITECTURES


def _read_width(width: str) -> Fraction:
    if not _WIDTH.fullmatch(width) or not 0 < Fraction(width) <= LARGEST_WIDTH:
        raise ValueError(f"width: expected a fraction above 0 and at most {LARGEST_WIDTH}, such as 1/4, got {width[:40]!r}")
    return Fraction(width)


@lru_cache(maxsize=64)
def _network(name: str, width: Fraction) -> Network:
    return ARCHITECTURES[name](width)
