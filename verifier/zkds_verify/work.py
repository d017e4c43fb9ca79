"""How much verifying takes, counted from the statement before anything that grows with it."""

from math import prod

from zkds_verify.rejection import require

UNIT = 2**26  # about 20 seconds of Python
FIXED = 2**22  # tables, lookups, the opening


def work(s):
    """A number of elements that a verifier touches, give or take a factor of a few."""
    total = (
        FIXED + s.R * s.T * s.B * s.root.columns + sum(e.samples * e.root.columns for e in s.evaluations) + 128 * s.root.columns
    )
    probes = [(2 * s.T - 1, s.B)] * s.R + [*((1, e.samples) for e in s.evaluations)]
    parameters = s.network.parameters | s.network.constants
    for passes, batch in probes:
        total += sum(
            64 * (passes + batch + 4 * sum(n.place.output) + n.operator.work(n.place.inputs[0])) for n in s.network.nodes
        )
        total += s.network.classes * (passes + batch) * 64
    total += sum(64 * (2 * s.T + sum(shape)) for shape in parameters.values())
    large = sum(prod(shape) >= 2**18 for shape in parameters.values())
    total += s.R * 2**14 * s.T * large + 64 * s.T**2
    return total + (8 * sum(map(prod, parameters.values())) if s.private else 0)


def require_little_work(s, most):
    found = work(s)
    limit = int(most * UNIT)
    require(found <= limit, "work: verifying takes too much", f"at most {limit}", str(found))
