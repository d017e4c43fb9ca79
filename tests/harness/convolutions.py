"""Convolutions of all kinds for property tests: any kernel, stride, dilation, padding and number of groups."""

from hypothesis import strategies as st

from zkds.circuits.operators.convolution.windows import Geometry, Window


@st.composite
def windows(draw, most_inputs=9, most_kernel=4):
    """One axis; padding may exceed the kernel, outputs may stop short of what fits or see nothing but zeros."""
    inputs, kernel = draw(st.integers(1, most_inputs)), draw(st.integers(1, most_kernel))
    stride, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    before, behind, left_out = draw(st.integers(0, 6)), draw(st.integers(0, 6)), draw(st.integers(0, 2))
    free = inputs + before + behind - (kernel - 1) * dilation - 1
    return Window(inputs, kernel, stride, before, max(1, free // stride + 1 - left_out), dilation)


@st.composite
def geometries(draw, most_inputs=9, most_kernel=4, most_groups=4, most_channels=4):
    """Two steps of one to two records."""
    groups = draw(st.integers(1, most_groups))
    channels = [groups * draw(st.integers(1, most_channels)) for _ in range(2)]
    axes = [draw(windows(most_inputs, most_kernel)) for _ in range(2)]
    return Geometry(2, draw(st.integers(1, 2)), *channels, *axes, groups)
