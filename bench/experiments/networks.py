"""The networks of the experiments, of the zoo: LeNet-5 on MNIST, a small convolutional network on digits."""

from collections.abc import Callable
from functools import partial

from torch import nn

from zkds.circuits.networks.torch_module import build

BUILD: dict[str, Callable[[], nn.Module]] = {"MNIST": partial(build, "lenet5"), "digits": partial(build, "digits-cnn")}
