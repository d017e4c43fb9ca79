"""Random small networks for property tests."""

from hypothesis import strategies as st

from tests.harness.layers import Layer, Pool, layered


@st.composite
def networks(draw, most_layers=3, most_pixels=9):
    """A Network of one to four layers with all kinds of windows, and a fully connected one at the end."""
    shape = input_shape = (draw(st.integers(1, 3)), draw(st.integers(1, most_pixels)), draw(st.integers(1, most_pixels)))
    layers = []
    for index in range(draw(st.integers(0, most_layers))):
        layer = draw(hidden_layers(f"hidden.{index}", shape))
        layers.append(layer)
        shape = layer.output(shape)
    layers.append(Layer("scores", draw(st.integers(2, 5)), shape[0], shape[1:], bias=draw(st.booleans())))
    return layered(input_shape, tuple(layers))


@st.composite
def hidden_layers(draw, name, shape):
    """A Layer that fits an input of `shape`."""
    vertical, horizontal = draw(windows(shape[1])), draw(windows(shape[2]))
    kernel, padding = zip(vertical, horizontal, strict=True)
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    layer = Layer(name, draw(st.integers(1, 4)), shape[0], kernel, stride, padding, draw(st.booleans()))
    pixels = min(layer.convolution(shape)[1:])
    pools = [Pool("max", size) for size in range(2, pixels + 1)]
    pools += [Pool("average", size) for size in (2, 4, 8) if size <= pixels]
    pool = draw(st.sampled_from(pools)) if pools else None
    return Layer(name, layer.channels_out, shape[0], kernel, stride, padding, layer.bias, pool, relu=draw(st.booleans()))


@st.composite
def windows(draw, length):
    """(kernel, padding) along one axis of `length`."""
    kernel = draw(st.integers(1, min(4, length + 2)))
    least = max(0, (kernel - length + 1) // 2)
    return kernel, draw(st.integers(least, max(least, (kernel - 1) // 2)))
