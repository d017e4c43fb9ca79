"""All claims on the vector become one: docs/specification/proof-system.md, section 7."""

from zkds_verify.field import ZERO, powers
from zkds_verify.sumcheck import binding_order


def batch(channel, claims, variables, row_bits, row_error):
    """(rho, the hidden value of the vector's extension there). Of index bits from `row_bits` on a round counts more."""
    chi = powers(channel.challenge("batching: chi", len(claims)), len(claims))
    running = ZERO
    for power, claim in zip(chi, claims, strict=True):
        running = running + claim.value * power
    rho = [ZERO] * variables
    for bit in binding_order(variables):
        zero, infinity = channel.hidden("batching: round", 2)
        if bit >= row_bits:
            r = channel.challenge("batching: sumcheck round, row combination", 2 + row_error)
        else:
            r = channel.challenge("batching: sumcheck round", 2)
        running = zero + (running - zero * 2 - infinity) * r + infinity * (r * r)
        rho[bit] = r
    (value,) = channel.hidden("batching: value", 1)
    weight = ZERO
    for power, claim in zip(chi, claims, strict=True):
        weight = weight + power * claim.weight_at(rho)
    channel.equation("batching: final claim", running - value * weight)
    return rho, value
