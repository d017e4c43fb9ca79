"""Which weights are implicit: docs/fixed-point.md, "Implicit layers"."""

LEAST_WEIGHTS, A_PRODUCT, AN_ENTRY, PRODUCTS = 2**16, 4, 8, 2**15


def kind_of(probe, outputs, inputs, taps, positions, entries, ib, dense):
    """What the updates of a layer are in a probe, "exact" or "rounded"; None if it is explicit.

    probe             steps, batch, whether its perturbation and its sharpness are ASAM
    outputs, inputs   channels
    entries           of a record's input and output
    ib                fractional bits of its input
    """
    weights = outputs * inputs * taps
    steps, batch, adaptive, scaled = probe
    rows = batch * positions
    moving = rows * (steps - 1)
    if adaptive or weights < LEAST_WEIGHTS or rows > 128:
        return None
    if not scaled:
        return "exact" if moving <= 512 and weights >= A_PRODUCT * rows * moving else None
    if dense and rows <= 8 and moving <= 32:
        return "exact"
    if max(outputs, inputs) * taps * 2 ** (ib - 32) > PRODUCTS:
        return None
    return "rounded" if weights >= AN_ENTRY * batch * entries else None
