"""Random small networks for property tests."""

from hypothesis import strategies as st

from zkds.circuits.networks.graph import Layer, Network, Pool


@st.composite
def networks(draw, most_layers=3, most_pixels=9):
    """A Network of one to four layers with all kinds of windows, and a fully connected one at the end."""
    shape = input_shape = (draw(st.integers(1, 3)), draw(st.integers(1, most_pixels)), draw(st.integers(1, most_pixels)))
    layers = []
    for index in range(draw(st.integers(0, most_layers))):
        layer = draw(hidden_layers(f"hidden.{index}", shape))
        layers.append(layer)
        shape = layer.shapes(shape).output
    layers.append(Layer("scores", draw(st.integers(2, 5)), shape[0], shape[1:], bias=draw(st.booleans())))
    return Network(input_shape, tuple(layers))


@st.composite
def hidden_layers(draw, name, shape):
    """A Layer that fits an input of `shape`."""
    vertical, horizontal = draw(windows(shape[1])), draw(windows(shape[2]))
    kernel, padding = zip(vertical, horizontal, strict=True)
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    layer = Layer(name, draw(st.integers(1, 4)), shape[0], kernel, stride, padding, draw(st.booleans()))
    pixels = min(layer.shapes(shape).convolution[1:])
    pool = Pool(draw(st.sampled_from(("max", "average"))), draw(st.integers(2, pixels))) if pixels > 1 else None
    return Layer(name, layer.channels_out, shape[0], kernel, stride, padding, layer.bias, pool, relu=draw(st.booleans()))


@st.composite
def windows(draw, length):
    """(kernel, padding) along one axis of `length`."""
    kernel = draw(st.integers(1, min(4, length + 2)))
    least = max(0, (kernel - length + 1) // 2)
    return kernel, draw(st.integers(least, max(least, (kernel - 1) // 2)))
