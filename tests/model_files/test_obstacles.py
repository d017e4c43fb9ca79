"""Everything that keeps a network from being proved stands in one message, by module, with what to do about it."""

import inspect
import io
import json

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.harness.program_files import GRAPH, exported, members
from zkds.circuits.model_files.archive import open_archive
from zkds.circuits.model_files.aten import SCHEMAS, Argument, Tensor, bind
from zkds.circuits.model_files.program import _operation, read_program
from zkds.circuits.model_files.torch_import import from_exported_program, from_module, from_program

pytestmark = pytest.mark.any_kernels


@pytest.fixture(autouse=True)
def threads():
    torch.set_num_threads(1)


class Block(nn.Module):
    """Of a ResNet; with a convolution beside it where sizes change."""

    def __init__(self, channels, inner, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, inner, 3, stride, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = nn.Conv2d(inner, inner, 3, 1, 1, bias=False), nn.BatchNorm2d(inner)
        self.short = nn.Conv2d(channels, inner, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        return functional.relu(self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x))))) + self.short(x))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.blocks = nn.Sequential(Block(4, 4, 1), Block(4, 8, 2), Block(8, 8, 1))
        self.scores = nn.Linear(8, 3)

    def forward(self, x):
        return self.scores(self.blocks(self.stem(x)).amax((2, 3))).softmax(1)


FORWARD = inspect.getsourcelines(ResNet.forward)[1] + 1


def depthwise(channels):
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, groups=channels),
        nn.BatchNorm2d(channels),
        nn.Hardswish(),
        nn.Conv2d(channels, 2 * channels, 1),
    )


MOBILE = nn.Sequential(
    nn.Conv2d(1, 2, 3, dilation=2), depthwise(2), nn.Mish(), depthwise(4), nn.MaxPool2d(3, 2), nn.Flatten(), nn.LazyLinear(3)
)


def message(module, shape, *, training=False, batch=2):
    records = torch.zeros(batch, *shape)
    module.eval()(records)  # for lazy layers
    with pytest.raises(ValueError) as caught:
        from_exported_program(torch.export.export(module.train(training), (records,)))
    return str(caught.value)


def test_all_obstacles_of_a_network_at_once():
    first, *lines, last = message(ResNet(), (1, 8, 8)).splitlines()
    assert first == "2 things in this network aren't supported:" and last.startswith("supported are conv2d")
    assert [line.partition(": ") for line in lines] == [
        (
            f"  the model's forward (test_obstacles.py:{FORWARD})",
            ": ",
            "operator aten.amax.default isn't supported (maxima of rows and columns are F.adaptive_max_pool2d(x, 1))",
        ),
        (
            f"  the model's forward (test_obstacles.py:{FORWARD})",
            ": ",
            "operator aten.softmax.int isn't supported (the network should end with its scores, before softmax)",
        ),
    ]


def test_other_operators_have_their_remedies():
    text = message(MOBILE, (1, 16, 16))
    for part in (
        "1.2 (Hardswish), 3.2 (Hardswish): operator aten.hardswish.default isn't supported (activations are ReLU, ReLU6,",
        "2 (Mish): operator aten.mish.default isn't supported (activations are ReLU, ReLU6,",
    ):
        assert part in text, text


class Sizes(nn.Module):
    """Others than networks that can be proved have: larger ones, parts, copies."""

    def __init__(self, change):
        super().__init__()
        self.conv, self.change = nn.Conv2d(1, 4, 3), change

    def forward(self, x):
        return self.change(self.conv(x)).flatten(1)


@pytest.mark.parametrize(
    ("change", "operator", "remedy"),
    [
        (nn.Upsample(scale_factor=2), "aten.upsample_nearest2d.vec", "resize the records"),
        (lambda x: functional.interpolate(x, (3, 3), mode="bilinear"), "aten.upsample_bilinear2d.vec", "resize the records"),
        (nn.PixelShuffle(2), "aten.pixel_shuffle.default", "rows and columns never grow"),
        (lambda x: x[:, :1].expand(-1, 4, -1, -1), "aten.expand.default", "torch.cat((x, x), 1)"),
        (lambda x: x.repeat(1, 2, 1, 1), "aten.repeat.default", "torch.cat((x, x), 1)"),
        (lambda x: x.unbind(1)[0], "aten.unbind.int", "x[:, 0]"),
        (lambda x: x[:, [0, 2]], "aten.index.Tensor", "x[:, :8]"),
        (lambda x: x.chunk(2, 0)[0], "aten.chunk.default", "records to stay together"),
        (lambda x: x.select(0, 0), "aten.select.int", "all records"),
        (lambda x: x * torch.sigmoid(x), "aten.mul.Tensor", "gates and attention"),
        (lambda x: x - x.relu(), "aten.sub.Tensor", "x + (-1.0) * y"),
        (lambda x: x / (x.relu() + 1), "aten.div.Tensor", "quotients of two activations"),
        (lambda x: torch.einsum("bchw,bcvw->bhv", x, x), "aten.einsum.default", "multiplies activations"),
        (lambda x: functional.scaled_dot_product_attention(x, x, x), "scaled_dot_product_attention", "MLP-Mixer"),
        (lambda x: x @ x, "aten.matmul.default", "MLP-Mixer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_sizes_and_products_that_no_network_has(change, operator, remedy):
    """Each is the only obstacle, and its remedy is said."""
    text = message(Sizes(change), (1, 8, 8))
    assert operator in text and remedy in text and "\n" not in text
    assert "test_obstacles.py:" in text


class Used(nn.Module):
    """A module of torch, or a tensor of the model, in front of the scores."""

    def __init__(self, use, inner=None, **tensors):
        super().__init__()
        self.use, self.inner, self.scores = use, inner, nn.LazyLinear(3)
        for name, tensor in tensors.items():
            setattr(self, name, tensor)

    def forward(self, x):
        return self.scores(self.use(self, x).flatten(1))


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        (
            Used(lambda m, x: m.inner(x, x, x)[0], nn.MultiheadAttention(4, 2, batch_first=True)),
            (5, 4),
            "inner (MultiheadAttention, test_obstacles.py:{line}): MultiheadAttention isn't supported (attention multiplies",
        ),
        (Used(lambda m, x: m.inner(x)[0][:, -1], nn.LSTM(4, 6)), (5, 4), "LSTM isn't supported (recurrent layers multiply"),
        (Used(lambda m, x: m.inner(x)[1], nn.GRU(4, 6, batch_first=True)), (5, 4), "GRU isn't supported (recurrent layers"),
        (Used(lambda m, x: m.inner(x), nn.LocalResponseNorm(2)), (2, 3, 3), "LocalResponseNorm isn't supported (batch norm in"),
        (
            Used(lambda m, x: x - m.mean, mean=nn.Buffer(torch.rand(3, 3))),
            (2, 3, 3),
            "the model's forward (test_obstacles.py:{line}): aten.sub.Tensor: expected one finite constant, or one for each "
            "channel of (2, 3, 3); constants that differ inside a channel, such as a mean image m, aren't supported: take the",
        ),
        (
            Used(lambda m, x: x + m.place, place=nn.Parameter(torch.rand(2, 3, 3))),
            (2, 3, 3),
            "aten.add.Tensor: place: expected what the network computes; parameters are the weights and biases of",
        ),
        (
            Used(lambda m, x: m.inner(x), nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 2, 1))),
            (2, 3, 3),
            "weight: expected a parameter of the model, got a computed tensor or a buffer; a computed one becomes a parameter",
        ),
    ],
    ids="attention lstm gru response mean parameter computed".split(),
)
def test_what_the_user_wrote_is_named_once(module, shape, expected):
    """A module of torch is one obstacle, however many operators it is."""
    text = message(module, shape)
    line = inspect.getsourcelines(Used.forward)[1] + 1
    assert expected.format(line=line) in text


class Checked(nn.Module):
    """As torchvision's first Normalize does: an error for deviations of 0."""

    def forward(self, x):
        if (torch.as_tensor([0.5, 0.25]) == 0).any():
            raise ValueError
        return x.flatten(1)


def test_what_torch_cannot_export_is_named():
    line = inspect.getsourcelines(Checked.forward)[1] + 1
    with pytest.raises(ValueError, match=rf"test_obstacles.py:{line}\): it branches on numbers .* transforms.v2.Normalize"):
        from_module(Checked(), (2, 3, 3))
    with pytest.raises(ValueError, match=r"torch\.export can't follow the model's forward: "):
        from_module(nn.Linear(4, 2), (3,))


TRACES = {
    'File "/home/me/model.py", line 42, in forward\n  x = f(x)': "model.py:42",
    'File "C:\\me\\model.py", line 7, in forward': "model.py:7",
    'File "/a/model.py", line 3, in forward\n  y\n  File "/v/site-packages/torch/nn/conv.py", line 9, in forward': "model.py:3",
    'File "/v/site-packages/torch/nn/conv.py", line 9, in forward': "",
    'File "/v/site-packages/torchvision/resnet.py", line 9, in forward': "resnet.py:9",
    'File "/a/<b>\x1b[31m.py", line 3, in forward': "",
    f'File "/a/{"b" * 61}", line 3, in forward': "",
    'File "/a/model.py", line 99999999, in forward': "",
    'File "' * 1000: "",
    "": "",
}


@pytest.mark.parametrize("trace", TRACES)
def test_lines_of_the_source_are_shown_if_they_are_plain(trace):
    document = json.loads(members(exported(nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.Mish()), (1, 2, 2)))[GRAPH])
    (mish,) = (node for node in document["graph_module"]["graph"]["nodes"] if "mish" in node["target"])
    mish["metadata"]["stack_trace"] = trace
    assert _operation(mish, "node").line == TRACES[trace]


def test_batch_norm_in_training_mode():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    text = message(module, (1, 4, 4), training=True)
    assert text.count("1 (BatchNorm2d): ") == text.count("call model.eval() before exporting it") == 2
    assert "residual" not in text
    functional_text = str(_error_of(torch.export.export(module.train(), (torch.zeros(2, 1, 4, 4),)).run_decompositions()))
    assert "buffer_mutation: the model changes its own state, as batch norm does in training mode: call" in functional_text


def _error_of(exported):
    with pytest.raises(ValueError) as caught:
        from_exported_program(exported)
    return caught.value


class Wrapped(nn.Module):
    """A context inside forward."""

    def __init__(self, context):
        super().__init__()
        self.context, self.linear = context, nn.Linear(4, 2)

    def forward(self, x):
        with self.context():
            return self.linear(x)


@pytest.mark.parametrize(
    ("context", "remedy"),
    [
        (torch.no_grad, "take torch.no_grad() out of forward"),
        (lambda: torch.autocast("cpu", dtype=torch.bfloat16), "take torch.autocast out of forward"),
    ],
)
def test_contexts_inside_forward(context, remedy):
    assert remedy in message(Wrapped(context), (4,))


def test_the_list_is_bounded():
    names = (
        "atan",
        "sin",
        "cos",
        "exp",
        "abs",
        "neg",
        "sqrt",
        "erf",
        "ceil",
        "floor",
        "round",
        "sign",
        "sinh",
        "cosh",
        "tan",
        "log",
    )

    class Many(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 2)

        def forward(self, x):
            x = self.linear(x)
            for name in names:
                x = getattr(torch, name)(x)
            return x

    lines = message(Many(), (4,)).splitlines()
    assert lines[0] == "16 things in this network aren't supported:" and lines[13] == "  and 4 more" and len(lines) == 15


def test_inputs_and_outputs_that_no_proof_has():
    class Two(nn.Module):
        def forward(self, x, y, flag):
            return x.flatten(1), y

    exported = torch.export.export(Two(), (torch.zeros(2, 3), torch.zeros(2, 3), True))
    text = str(_error_of(exported))
    assert "an input that isn't a tensor (constant_input)" in text and "expected one input and one output, got 2 and 2" in text
    integers = torch.export.export(nn.Sequential(nn.Flatten()), (torch.zeros(2, 3, dtype=torch.uint8),))
    assert "expected an input of floats: divide images by 255" in str(_error_of(integers))
    sizes = torch.export.export(
        nn.Conv2d(1, 2, 3), (torch.zeros(2, 1, 8, 8),), dynamic_shapes=({2: torch.export.Dim("height", min=4)},)
    )
    assert "expected an input (B, C, H, W), (B, C, L) or (B, d) of fixed sizes but B, got (2, 1, ?, 8)" in str(_error_of(sizes))


# ---- the table of operators ----


def arguments(schema):
    """name -> (type, default) of one in torch's notation."""
    found = {}
    for argument in schema.arguments:
        default = argument.default_value if argument.has_default_value() else "none given"
        pair = isinstance(default, int) and not isinstance(default, bool) and str(argument.type).startswith("List")
        default = (default, default) if pair else tuple(default) if isinstance(default, list) else default
        found[argument.name] = (default, argument.kwarg_only)
    return found


@pytest.mark.parametrize("operator", SCHEMAS)
def test_the_table_of_operators_is_that_of_torch(operator):
    _, name, overload = operator.split(".")
    expected = arguments(getattr(getattr(torch.ops.aten, name), overload)._schema)
    required = [key for key, (default, _) in expected.items() if default == "none given"]
    values = {"weight": Tensor("w"), "kernel_size": [2], "output_size": [1, 1], "train": False, "p": 0.5, "dim": 0}
    values |= {"min": 0.5, "max": 0.5}
    kinds = {"kernel_size": "as_ints", "output_size": "as_ints", "train": "as_bool", "dim": "as_int"}
    kinds |= dict.fromkeys(("p", "min", "max"), "as_float")
    values |= {"size": [1], "shape": [1], "sizes": [1], "tensors": [Tensor("x")]}
    kinds |= dict.fromkeys(("size", "shape", "sizes"), "as_ints") | {"tensors": "as_tensors"}
    values |= {"training": False, "momentum": 0.1, "eps": 1e-5, "cudnn_enabled": True}
    kinds |= dict.fromkeys(("training", "cudnn_enabled"), "as_bool") | dict.fromkeys(("momentum", "eps"), "as_float")
    lists = {"squeeze": "dim", "permute": "dims", "pad": "pad", "constant_pad_nd": "pad"}
    if name in lists and (name, overload) != ("squeeze", "dim"):
        values[lists[name]], kinds[lists[name]] = [0], "as_ints"
    values |= {"output_size": [1]} if name.endswith("1d") else {}
    values |= {"split_size": 2, "split_sizes": [2], "chunks": 2, "index": 0}
    kinds |= dict.fromkeys(("split_size", "chunks", "index"), "as_int") | {"split_sizes": "as_ints"}
    values |= {"dim0": 0, "dim1": 1} | ({"other": 2} if name == "rsub" else {})
    kinds |= {"other": "as_int"} if name == "rsub" else {}
    kinds |= dict.fromkeys(("dim0", "dim1"), "as_int")
    if operator == "aten.mean.dim":
        values["dim"], kinds["dim"] = [0], "as_ints"
    given = [Argument(key, kinds.get(key, "as_tensor"), values.get(key, Tensor("x")), by_keyword=False) for key in required]
    bound = bind(operator, given)
    assert list(bound) == list(expected)
    for key, (default, keyword_only) in expected.items():
        if key == "memory_format":  # of these torch has its own objects
            assert keyword_only
        elif key not in required:
            assert bound[key] == default and type(bound[key]) is type(default)


def test_every_operator_of_the_table_is_written_by_torch_as_it_says():
    """With all arguments given, by position and by keyword."""

    class Everything(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.linear = nn.Conv2d(1, 2, 3), nn.Linear(8, 2)

        def forward(self, x):
            x = functional.conv2d(x, self.conv.weight, self.conv.bias, stride=1, padding="same", dilation=1, groups=1)
            x = torch.ops.aten.max_pool2d(x, [2, 2], stride=[2, 2], padding=0, dilation=[1], ceil_mode=False)
            x = x.clone(memory_format=torch.contiguous_format).relu_()
            x = torch.ops.aten.alias(x.contiguous(memory_format=torch.contiguous_format))
            x = functional.dropout2d(functional.dropout(x, 0.1, False, True), 0.1, False, True)
            return self.linear(functional.adaptive_avg_pool2d(x, (2, 2)).reshape(-1, 8))

    exported = torch.export.export(Everything().eval(), (torch.zeros(2, 1, 4, 4),))
    torch.export.save(exported, buffer := io.BytesIO())
    with open_archive(buffer) as archive:
        network, _ = from_program(read_program(archive))
    assert network.classes == 2
