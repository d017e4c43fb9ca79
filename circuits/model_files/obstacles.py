"""What stands between a network and a proof of it: all of it in one message, by the user's modules and lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from zkds.circuits.model_files.aten import Tensor
from zkds.circuits.model_files.program import EVAL, Operation
from zkds.circuits.model_files.strict_json import shown
from zkds.circuits.operators.tracing import Unsupported

MAX_LINES = 12
MAX_PLACES = 4  # named in a line

SUPPORTED = (
    "conv2d, conv1d, linear, batch_norm in evaluation mode, relu, relu6, hardtanh, clamp, leaky_relu, sigmoid, tanh, gelu, "
    "silu, max_pool2d, adaptive_max_pool2d, avg_pool2d, adaptive_avg_pool2d, mean over rows and columns, add, "
    "cat of channels, affine maps by constants, zero padding, slices, split, chunk, flatten, view, reshape, squeeze, "
    "permute, dropout in evaluation mode, log_softmax of the scores"
)

_AUDIT = "zkds audit, which proves nothing, takes any network"
_ONLY_BATCH_NORM = "batch norm in evaluation mode is the only normalization"
_ACTIVATIONS = "activations are ReLU, ReLU6, Hardtanh, LeakyReLU, Sigmoid, Tanh, GELU and SiLU; train the network with one"
_SCORES = "the network should end with its scores, before softmax"
_ONE_TYPE = "a conversion of types: take it out of forward, and give the whole model one type"
_DECOMPOSED = "export without run_decompositions"
_LARGER = "rows and columns never grow; resize the records before they are committed"
_PARTS = "take slices, such as x[:, :8] and x[:, 8:]"
_COPIES = "sums with a constant are broadcast; copies of channels are torch.cat((x, x), 1)"
_PRODUCTS = "products of two activations; only products with a layer's weights or with constants can be proved"
_ATTENTION = "attention multiplies activations; dense layers along an axis, as in an MLP-Mixer, can be proved"
_RECURRENT = "recurrent layers multiply activations and use weights at every step; conv1d along the sequence can be proved"
_CONSTANTS = "constants: numbers, or tensors that the model has by register_buffer; zeros beside images are F.pad"
_COMPUTED = "weights that are computed: torch.nn.utils.parametrize.remove_parametrizations before exporting"
_GREATEST = "maxima of rows and columns are F.adaptive_max_pool2d(x, 1)"
_RANDOM = "nothing random: a proof needs one network"
_ORDER = "another order of channels: permute the weights of the layer behind it instead"

# The first whose word is part of the operator's name.
HINTS = {
    "batch_norm": _DECOMPOSED,
    "layer_norm": _ONLY_BATCH_NORM,
    "group_norm": _ONLY_BATCH_NORM,
    "instance_norm": _ONLY_BATCH_NORM,
    "rms_norm": _ONLY_BATCH_NORM,
    "softmax": _SCORES,
    "aten.clamp": "bounds that are numbers, not tensors",
    "prelu": _ACTIVATIONS,
    "elu": _ACTIVATIONS,
    "mish": _ACTIVATIONS,
    "hardswish": _ACTIVATIONS,
    "hardsigmoid": _ACTIVATIONS,
    "log_sigmoid": _ACTIVATIONS,
    "softplus": _ACTIVATIONS,
    "aten.mean": "for global average pooling use x.mean((2, 3))",
    "aten.stack": "branches that come together",
    "max_pool": "only max pools in one or two dimensions",
    "aten.conv3d": "only convolutions in one or two dimensions",
    "conv_transpose": "only convolutions forward",
    "aten.convolution": _DECOMPOSED,
    "addmm": _DECOMPOSED,
    "_adaptive_avg_pool2d": _DECOMPOSED,
    "with_indices": _DECOMPOSED,
    "vector_norm": _ONLY_BATCH_NORM,
    "threshold": _ACTIVATIONS,
    "scaled_dot_product": _ATTENTION,
    "aten.bmm": _ATTENTION,
    "aten.matmul": _ATTENTION,
    "aten.einsum": _ATTENTION,
    "aten.mm": _ATTENTION,
    "aten.bilinear": _PRODUCTS,
    "aten.glu": _PRODUCTS,
    "aten.pow": _PRODUCTS,
    "aten.square": _PRODUCTS,
    "lstm": _RECURRENT,
    "aten.gru": _RECURRENT,
    "aten.rnn": _RECURRENT,
    "aten.embedding": "look the embedding up before the records are committed",
    "upsample": _LARGER,
    "pixel_shuffle": _LARGER,
    "aten.expand": _COPIES,
    "aten.repeat": _COPIES,
    "aten.tile": _COPIES,
    "aten.unbind": "take x[:, 0], x[:, 1] and so on",
    "aten.tensor_split": "torch.split and torch.chunk can be proved",
    "aten.index": _PARTS,
    "aten.narrow": _PARTS,
    "aten.gather": _PARTS,
    "channel_shuffle": _ORDER,
    "aten.roll": _ORDER,
    "aten.flip": "turn the kernels, or the records before they are committed",
    "aten.neg": "x * (-1.0)",
    "aten.abs": "relu(x) + relu(x * (-1.0))",
    "aten.maximum": "y + relu(x + (-1.0) * y)",
    "aten.where": _ACTIVATIONS,
    "aten.gt.": _ACTIVATIONS,
    "aten.sum.": "sums of rows and columns are x.mean((2, 3)) times how many there are",
    "aten.amax": _GREATEST,
    "aten.max.": _GREATEST,
    "aten.rand": _RANDOM,
    "aten.bernoulli": _RANDOM,
    "aten.zeros": _CONSTANTS,
    "aten.ones": _CONSTANTS,
    "aten.full": _CONSTANTS,
    "aten.new_": _CONSTANTS,
    "aten._to_copy": _ONE_TYPE,
    "aten.to.": _ONE_TYPE,
    "_weight_norm": _COMPUTED,
    "wrap_with_set_grad_enabled": "take torch.no_grad() out of forward",
    "wrap_with_autocast": "take torch.autocast out of forward",
    "torch.ops.higher_order": "control flow",
}
# Modules of torch that are many operators: one line says it of all of them.
MODULES = {
    "MultiheadAttention": _ATTENTION,
    "LSTM": _RECURRENT,
    "GRU": _RECURRENT,
    "RNN": _RECURRENT,
    "LocalResponseNorm": _ONLY_BATCH_NORM,
    "LPPool1d": "pools are max pools and average pools",
    "LPPool2d": "pools are max pools and average pools",
    "FractionalMaxPool2d": _RANDOM,
    "Softmin": _SCORES,
    "_SpectralNorm": _COMPUTED,
}
_ARITHMETIC = ("aten.add", "aten.sub", "aten.mul", "aten.div", "aten.rsub")


class Obstacles:
    """What isn't supported, by what is said of it, with the places."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._places: dict[str, list[str]] = {text: [] for text in texts}

    def __bool__(self) -> bool:
        return bool(self._places)

    def say(self, text: str) -> None:
        """What has no place."""
        self._places.setdefault(text, [])

    def add(self, operation: Operation, text: str) -> None:
        if operation.type in MODULES:
            text = f"{operation.type} isn't supported ({MODULES[operation.type]})"
        known = [operation.type if operation.module else "", operation.line]
        details = ", ".join(word for word in known if word)
        place = (operation.module or "the model's forward") + (f" ({details})" if details else "")
        places = self._places.setdefault(text, [])
        if place not in places:
            places.append(place)

    def message(self) -> str:
        """One line for one kind of obstacle, a list for several."""
        lines = [_line(text, places) for text, places in self._places.items()]
        if len(lines) == 1:
            return f"{lines[0]}; supported are {SUPPORTED}; {_AUDIT}"
        more = [f"and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
        listed = "".join(f"\n  {line}" for line in [*lines[:MAX_LINES], *more])
        return f"{len(lines)} things in this network aren't supported:{listed}\nsupported are {SUPPORTED}; {_AUDIT}"


def _line(text: str, places: list[str]) -> str:
    if not places:
        return text
    more = f" and {len(places) - MAX_PLACES} more" if len(places) > MAX_PLACES else ""
    return f"{', '.join(places[:MAX_PLACES])}{more}: {text}"


def unsupported_operator(operation: Operation, *, is_buffer: Callable[[Tensor], bool]) -> Unsupported:
    """What to say of an operator that isn't supported.

    is_buffer       whether a tensor is a buffer or a constant of the model
    """
    name = shown(operation.operator)
    given = {argument.name: argument.value for argument in operation.arguments}
    tensors = [value for value in given.values() if isinstance(value, Tensor)]
    hint = next((text for part, text in HINTS.items() if part in name), "")
    if name.startswith("aten.add_.") and tensors and is_buffer(tensors[0]):
        hint = f"the model counts its batches, as batch norm in training mode does: {EVAL}"
    elif name.startswith(_ARITHMETIC):
        hint = "arithmetic of two tensors other than their sum" if len(tensors) == 2 else "arithmetic between the layers"
    return Unsupported(f"operator {name} isn't supported{f' ({hint})' if hint else ''}")
