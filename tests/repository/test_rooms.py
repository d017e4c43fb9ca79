"""The import graph: every room imports rooms below it only, no module is part of a cycle, and no module is in no room."""

import ast

import pytest

from tests.harness.shell import ROOT

pytestmark = pytest.mark.any_kernels

# From the ground up. A room imports rooms of lower floors, and modules of its own.
FLOORS = (
    ("errors", "output", "page"),
    ("native field", "input"),
    ("hidden", "multilinear", "soundness", "transcript", "wire"),
    ("channel", "claims"),
    ("sumcheck",),
    ("commit",),
    ("lookup", "zk"),
    ("dataset", "integers", "statement"),
    ("tensors", "conversation"),
    ("identities", "proof_size", "prover", "verifier", "circuits.arithmetic"),
    ("circuits.operators",),
    ("circuits.networks",),
    ("circuits.models", "circuits.trajectory"),
    ("circuits.metric", "circuits.model_files"),
    ("circuits.probe",),
    ("circuits.probe_records", "circuits.evaluation"),
    ("circuits.certificate",),
    ("circuits.training",),
    ("sharpness",),
    ("api",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for names in rooms for room in names.split()}
SAME_ROOM = {"native": "native field", "field": "native field"}


def modules():
    """Name without `zkds.` -> file, of every module but the packages' own `zkds` and `zkds.circuits`."""
    files = {path.relative_to(ROOT): path for path in (ROOT / "zkds").rglob("*.py") if "circuits" not in path.parts}
    files |= {path.relative_to(ROOT): path for path in (ROOT / "circuits").rglob("*.py")}
    named = {
        ".".join(name.with_suffix("").parts).removeprefix("zkds.").removesuffix(".__init__"): f for name, f in files.items()
    }
    return {name: path for name, path in named.items() if name not in ("zkds.__init__", "__init__", "circuits", "zkds")}


def imports(path, names):
    """The modules that a file imports, at its top or inside of a function; what types alone need counts too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and (node.module + ".").startswith("zkds."):
            for alias in node.names:
                full = f"{node.module}.{alias.name}".removeprefix("zkds.")
                found.add(full if full in names else node.module.removeprefix("zkds").removeprefix("."))
    return found - {"", "circuits"}


def room(module):
    words = module.split(".")
    return ".".join(words[: 2 if words[0] == "circuits" else 1])


def graph():
    names = modules()
    return {name: imports(path, names) & set(names) for name, path in names.items()}


def test_every_module_is_in_a_room():
    assert {room(module) for module in modules()} == set(FLOOR)


def test_no_room_imports_upwards_or_sideways():
    upward = [
        f"{module} imports {other}"
        for module, others in graph().items()
        for other in others
        if SAME_ROOM.get(room(module), room(module)) != SAME_ROOM.get(room(other), room(other))
        and FLOOR[room(module)] <= FLOOR[room(other)]
    ]
    assert not upward


def test_no_module_is_part_of_a_cycle():
    edges = graph()
    while True:
        free = {module for module, others in edges.items() if not others & set(edges)}
        if not free:
            break
        edges = {module: others for module, others in edges.items() if module not in free}
    assert not edges, f"among these is a cycle: {sorted(edges)}"


def test_tests_mirror_the_rooms():
    """A room's tests are in the folder of its name; those of single modules of zkds lie beside the folders."""
    folders = {path.parent.relative_to(ROOT / "tests").as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    assert folders <= {".", "bench", "repository", *(name.removeprefix("circuits.") for name in FLOOR)}


if __name__ == "__main__":  # python -m tests.repository.test_rooms: floors and arrows between rooms
    arrows = {name: set() for name in FLOOR}
    for module, others in graph().items():
        arrows[room(module)] |= {room(other) for other in others} - {room(module)}
    for number, names in enumerate(FLOORS):
        for name in (name for group in names for name in group.split()):
            print(f"{number:2} {name:24} {' '.join(sorted(arrows[name], key=FLOOR.get))}")
    print(f"{len(FLOOR)} rooms, {sum(map(len, arrows.values()))} arrows")
