"""Which models are trained: recipes, the grid of Table 1, the pairs of Tables 2, 5 and 7, and the order of all of them."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction

POINTS = ("accuracy", "loss", "end")  # of training, see bench.experiments_cifar.training
OPTIMIZERS = ("sgd", "adam", "sam", "asam")
RATES = {"sgd": (0.05, 0.1, 0.025), "adam": (0.002, 0.004, 0.001)}  # SAM and ASAM step as SGD does
DECAYS = {"sgd": (5e-4, 5e-5), "adam": (1e-4, 1e-5)}
BATCH_SIZES = (128, 64)
DROPOUTS = (0.25, 0.5)
NOISE, BACKDOOR, SPURIOUS = 0.1, 0.01, 0.5  # shares of the training images, as in Section 5.1
OTHER_NOISE = (0.05, 0.2)


@dataclass(frozen=True)
class Recipe:
    """All that decides a model's weights on one machine.

    images      how many of the training images
    decay       weight decay
    dropout     of what enters the last layer
    deviation   what is done to `share` of the training images: nothing (""), "noise", "backdoor" or "spurious"
    kept        epochs whose ends are kept, for Figure 1
    """

    architecture: str
    images: int
    epochs: int
    optimizer: str = "sgd"
    learning_rate: float = RATES["sgd"][0]
    decay: float = DECAYS["sgd"][0]
    batch_size: int = BATCH_SIZES[0]
    dropout: float = 0.0
    deviation: str = ""
    share: float = 0.0
    seed: int = 0
    kept: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """A digest of everything above."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Scale:
    """images, many: sizes of the training set; width: of the networks; seeds: of each pair; probes: of each measurement;
    examples: members of Table 4; toy: four models in place of the grid, and only the pairs of Table 2."""

    images: int = 10_000
    many: int = 50_000
    width: Fraction = Fraction(1, 8)
    epochs: int = 30
    seeds: int = 6
    probes: int = 10
    examples: int = 200
    toy: bool = False

    def architecture(self, name: str, factor: int = 1) -> str:
        return f"{name}:{self.width * factor}"

    @property
    def late(self) -> tuple[int, ...]:
        """Epochs of the last third, two apart, as the paper's 100 to 150 of 150."""
        return tuple(range(self.epochs, self.epochs * 2 // 3 - 1, -2))[::-1]


FULL = Scale()
TOY = Scale(images=192, many=192, width=Fraction(1, 16), epochs=4, seeds=1, probes=1, examples=2, toy=True)


@dataclass(frozen=True)
class GridModel:
    """A recipe of Table 1 and its place on every axis; rates and decays by rank, so that optimizers share the axes."""

    recipe: Recipe
    axes: dict[str, object] = field(hash=False)


@dataclass(frozen=True)
class Pair:
    """A benign and a faulty model with the same seed. paper: the point of training at which the paper compares them."""

    kind: str
    benign: Recipe
    faulty: Recipe
    paper: str


# ---- Table 1 ---------------------------------------------------------------------------------------------------------


def grid(scale: Scale) -> list[GridModel]:
    return list(itertools.chain.from_iterable(grid_blocks(scale)))


def grid_blocks(scale: Scale) -> list[list[GridModel]]:
    """48 models of VGG-11-BN, 24 of VGG-16-BN, 24 with dropout, 24 of VGG-13-BN."""
    if scale.toy:
        return [[_grid_model(scale, "vgg11-bn", 0, 0, BATCH_SIZES[1], optimizer, 0.0) for optimizer in OPTIMIZERS]]
    core = itertools.product(range(3), range(2), BATCH_SIZES, OPTIMIZERS)
    deep = list(itertools.product(range(3), range(2), BATCH_SIZES[:1], OPTIMIZERS))
    dropped = itertools.product(range(3), range(1), BATCH_SIZES[:1], OPTIMIZERS, DROPOUTS)
    return [
        [_grid_model(scale, "vgg11-bn", *each, 0.0) for each in core],
        [_grid_model(scale, "vgg16-bn", *each, 0.0) for each in deep],
        [_grid_model(scale, "vgg11-bn", *each) for each in dropped],
        [_grid_model(scale, "vgg13-bn", *each, 0.0) for each in deep],
    ]


def _grid_model(
    scale: Scale, architecture: str, rate: int, decay: int, batch: int, optimizer: str, dropout: float
) -> GridModel:
    kind = "adam" if optimizer == "adam" else "sgd"
    recipe = Recipe(
        scale.architecture(architecture),
        scale.images,
        scale.epochs,
        optimizer=optimizer,
        learning_rate=RATES[kind][rate],
        decay=DECAYS[kind][decay],
        batch_size=batch,
        dropout=dropout,
    )
    axes = {"architecture": architecture, "optimizer": optimizer, "rate": rate, "decay": decay, "batch size": batch}
    return GridModel(recipe, axes | {"dropout": dropout})


# ---- Tables 2, 5 and 7 -----------------------------------------------------------------------------------------------


def base(scale: Scale) -> Recipe:
    """The benign model of Table 2, whose last epochs are kept for Figure 1."""
    return Recipe(scale.architecture("vgg11-bn"), scale.images, scale.epochs, kept=scale.late)


def pairs(scale: Scale) -> list[Pair]:
    """Table 2; the small test set of the paper has the models of the label noise, trained to the end."""
    return [pair for seed in range(scale.seeds) for pair in _five(replace(base(scale), seed=seed))]


def _five(benign: Recipe) -> list[Pair]:
    def spoiled(deviation: str, share: float) -> Recipe:
        return replace(benign, deviation=deviation, share=share, kept=())

    noisy = spoiled("noise", NOISE)
    return [
        Pair("label noise 10 %", benign, noisy, "accuracy"),
        Pair("small test set", benign, noisy, "end"),
        Pair("SAM / SGD, 4-bit quantization", replace(benign, optimizer="sam"), benign, "end"),
        Pair("backdoor 1 %", benign, spoiled("backdoor", BACKDOOR), "end"),
        Pair("spurious square 50 %", benign, spoiled("spurious", SPURIOUS), "accuracy"),
    ]


def further_pairs(scale: Scale) -> list[Pair]:
    """Table 7's rows of images, but the sharpness-aware poisoning attack: other noise rates, a backdoor in ResNet-18."""
    found = []
    for seed in range(min(scale.seeds, 5)):
        benign = replace(base(scale), seed=seed)
        for share in OTHER_NOISE:
            noisy = replace(benign, deviation="noise", share=share, kept=())
            found.append(Pair(f"label noise {share:.0%}", benign, noisy, "accuracy"))
        resnet = replace(benign, architecture=scale.architecture("resnet18"), kept=())
        poisoned = replace(resnet, deviation="backdoor", share=BACKDOOR)
        found.append(Pair("backdoor 1 %, ResNet-18", resnet, poisoned, "end"))
    return found


def trend_pairs(scale: Scale) -> list[Pair]:
    """The same label noise and SAM with twice the width, and with all of the images."""
    found = []
    for seed in range(min(scale.seeds, 2)):
        wide = replace(base(scale), seed=seed, architecture=scale.architecture("vgg11-bn", 2), kept=())
        large = replace(base(scale), seed=seed, images=scale.many, kept=())
        for title, benign in (("twice the width", wide), (f"{scale.many} images", large)):
            noisy = replace(benign, deviation="noise", share=NOISE)
            found.append(Pair(f"label noise 10 %, {title}", benign, noisy, "accuracy"))
            found.append(Pair(f"SAM / SGD, {title}", replace(benign, optimizer="sam"), benign, "end"))
    return found


# ---- the order -------------------------------------------------------------------------------------------------------


def plan(scale: Scale) -> list[Recipe]:
    """Every recipe once, the most important ones first: whatever has been trained gives the best tables possible."""
    core, *others = [[model.recipe for model in block] for block in grid_blocks(scale)]
    if scale.toy:
        return _once(core, _both(pairs(scale)))
    deep, dropped, middle = others
    return _once(core, deep, _both(pairs(scale)), dropped, _both(further_pairs(scale)), _both(trend_pairs(scale)), middle)


def _once(*parts: Iterable[Recipe]) -> list[Recipe]:
    return list(dict.fromkeys(itertools.chain.from_iterable(parts)))


def _both(chosen: Iterable[Pair]) -> Iterator[Recipe]:
    for pair in chosen:
        yield from (pair.benign, pair.faulty)
