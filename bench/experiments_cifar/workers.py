"""Processes that take one model after the other: one thread each; they end at a deadline, or when who started them is gone."""

from __future__ import annotations

import math
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from bench.experiments.data import Images
from bench.experiments.training import evaluate
from bench.experiments_cifar import data
from bench.experiments_cifar.cache import Cache
from bench.experiments_cifar.recipes import Recipe, Scale, plan
from bench.experiments_cifar.training import Trained, restored, train
from zkds.sharpness.tables import plain

Work = Callable[[Cache, Scale, str, Callable[[], None]], None]


class Stopped(Exception):
    """The deadline has passed, or the process that started this one has ended."""


def run(work: Work, folder: Path, scale: Scale, *, jobs: int, device: str, hours: float) -> None:
    """`work` in `jobs` processes, until all is done or `hours` have passed. SIGTERM ends them at once."""
    deadline = time.time() + 3600 * hours
    if jobs == 1:
        _worker(work, folder, scale, device, deadline)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaves through the end of this function
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_worker, args=(work, folder, scale, device, deadline)) for _ in range(jobs)]
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.join()
    finally:
        for process in processes:
            if process.pid is not None:
                process.terminate()
    if any(process.exitcode for process in processes):
        raise SystemExit(1)


def _worker(work: Work, folder: Path, scale: Scale, device: str, deadline: float) -> None:
    torch.set_num_threads(1)  # the same sums, in the same order, with any number of processes
    parent = multiprocessing.parent_process()

    def check() -> None:
        if time.time() > deadline or (parent is not None and not parent.is_alive()):
            raise Stopped

    try:
        work(Cache(folder), scale, device, check)
    except Stopped:
        print("stopped; start again for the rest", flush=True)


def train_all(cache: Cache, scale: Scale, device: str, check: Callable[[], None]) -> None:
    """The next recipe of the plan that nobody has trained or is training, until there is none."""
    recipes = plan(scale)
    for number, recipe in enumerate(recipes, start=1):
        check()
        with cache.claimed(recipe.name) as mine:
            if mine and cache.record(recipe) is None:
                train_one(cache, recipe, device, check)
                print(f"trained {number} of {len(recipes)}: {recipe.name}", flush=True)


def train_one(cache: Cache, recipe: Recipe, device: str, check: Callable[[], None]) -> None:
    images = data.placed(data.deviated(data.load(cache.folder, recipe.images), recipe), device)
    trained = train(recipe, images, device, check)
    points = _evaluated(recipe, trained, images, device)
    record = {
        "recipe": asdict(recipe),
        "points": points,
        "history": trained.history,
        "seconds": round(trained.seconds, 2),
        "torch": torch.__version__,
        "device": device,
    }
    cache.store(recipe, plain(record), {name: trained.points[name] for name in points})


def _evaluated(recipe: Recipe, trained: Trained, images: Images, device: str) -> dict[str, dict[str, float]]:
    """Loss and accuracy of every point on the images that it was trained on, and on the test images; without the points of a
    run that diverges whose loss is not finite."""
    found = {}
    for name, point in trained.points.items():
        model = restored(recipe.architecture, point.state).to(device, memory_format=torch.channels_last)
        loss, accuracy = evaluate(model, images.x, images.y)
        test_loss, test_accuracy = evaluate(model, images.x_test, images.y_test)
        if math.isfinite(loss) and math.isfinite(test_loss):
            found[name] = {
                "epoch": point.epoch,
                "loss": loss,
                "accuracy": accuracy,
                "test loss": test_loss,
                "test accuracy": test_accuracy,
            }
    return found
