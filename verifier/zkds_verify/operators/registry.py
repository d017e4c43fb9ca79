"""All twins, by the kinds that the encoding of a network names."""

from zkds_verify.operators.add import Add
from zkds_verify.operators.affine import Affine
from zkds_verify.operators.average_pool import AdaptiveAveragePool, AveragePool
from zkds_verify.operators.batch_norm import BatchNorm
from zkds_verify.operators.clamp import Clamp
from zkds_verify.operators.concatenate import Concatenate
from zkds_verify.operators.convolution import Convolution
from zkds_verify.operators.leaky_relu import LeakyRelu
from zkds_verify.operators.max_pool import AdaptiveMaxPool, MaxPool
from zkds_verify.operators.pad import Pad
from zkds_verify.operators.permute import Permute
from zkds_verify.operators.relu import Relu
from zkds_verify.operators.smooth import FUNCTIONS

OPERATORS = {
    "adaptive max pool": AdaptiveMaxPool,
    "adaptive average pool": AdaptiveAveragePool,
    "add": Add,
    "affine": Affine,
    "average pool": AveragePool,
    "batch norm": BatchNorm,
    "clamp": Clamp,
    "concatenate": Concatenate,
    "convolution": Convolution,
    "leaky relu": LeakyRelu,
    "max pool": MaxPool,
    "pad": Pad,
    "permute": Permute,
    "relu": Relu,
    **FUNCTIONS,
}
