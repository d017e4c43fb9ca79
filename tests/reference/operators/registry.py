"""All twins, by the kinds that the encoding of a network names."""

from tests.reference.operators.add import Add
from tests.reference.operators.affine import Affine
from tests.reference.operators.average_pool import AdaptiveAveragePool, AveragePool
from tests.reference.operators.batch_norm import BatchNorm
from tests.reference.operators.clamp import Clamp
from tests.reference.operators.concatenate import Concatenate
from tests.reference.operators.convolution import Convolution
from tests.reference.operators.leaky_relu import LeakyRelu
from tests.reference.operators.max_pool import AdaptiveMaxPool, MaxPool
from tests.reference.operators.pad import Pad
from tests.reference.operators.permute import Permute
from tests.reference.operators.relu import Relu
from tests.reference.operators.smooth import FUNCTIONS

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
