"""What the statistics of the audit are by definition, in plain Python and with no care for speed."""

import itertools
import math


def sign(x):
    return (x > 0) - (x < 0)


def kendall_by_pairs(values, gaps):
    """Jiang et al. 2020: the mean of sign(v_i - v_j) sign(g_i - g_j) over ordered pairs i != j."""
    pairs = list(itertools.permutations(range(len(values)), 2))
    return sum(sign(values[i] - values[j]) * sign(gaps[i] - gaps[j]) for i, j in pairs) / len(pairs)


def spearman_by_ranks(values, gaps):
    """Pearson's coefficient of the ranks; the rank of ties is their mean."""

    def ranks(numbers):
        return [
            sum(other < number for other in numbers) + (sum(other == number for other in numbers) + 1) / 2 for number in numbers
        ]

    a, b = ranks(values), ranks(gaps)
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    product = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    return product / math.sqrt(sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b))


def granulated_by_definition(values, gaps, grid):
    """psi_i = mean of Kendall's coefficient over all choices of the other hyperparameters; Psi = mean of the psi_i.

    grid: one dict for each model. Axes and groups with fewer than two models are left out.
    """
    names = list(grid[0])
    psi = {}
    for axis in names:
        others = [name for name in names if name != axis]
        choices = {name: sorted({setting[name] for setting in grid}) for name in others}
        coefficients = []
        for chosen in itertools.product(*(choices[name] for name in others)):
            group = [m for m, setting in enumerate(grid) if all(setting[n] == c for n, c in zip(others, chosen, strict=True))]
            if len(group) > 1:
                coefficients.append(kendall_by_pairs([values[m] for m in group], [gaps[m] for m in group]))
        if coefficients:
            psi[axis] = sum(coefficients) / len(coefficients)
    return psi


def auc_by_pairs(low, high):
    """The share of pairs in which `low` is below `high`, ties half."""
    wins = sum((a < b) + 0.5 * (a == b) for a in low for b in high)
    return wins / (len(low) * len(high))


def best_accuracy_by_trying(members, others):
    """The best balanced accuracy of "score <= threshold means member" over every threshold that can matter."""
    best = 0.0
    for threshold in [-math.inf, *members, *others]:
        caught = sum(score <= threshold for score in members) / len(members)
        cleared = sum(score > threshold for score in others) / len(others)
        best = max(best, (caught + cleared) / 2)
    return best


def smallest_threshold_for_false_rejection(good, risk):
    """Try every value from below: the first with a share of at most `risk` of the good values above it."""
    for tau in sorted(good):
        if sum(value > tau for value in good) <= risk * len(good) + 1e-9:
            return tau
    raise AssertionError("the largest value rejects nothing")


def false_acceptance(bad, tau):
    return sum(value <= tau for value in bad) / len(bad)
