"""Files of torch.export.save, small ones and altered ones."""

from __future__ import annotations

import copy
import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

GRAPH = "models/model.json"
CONFIG = "data/weights/model_weights_config.json"


class Small(nn.Module):
    """Every supported operator, and pairs of layers of the same sizes, whose parts can be exchanged."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 2, 3, padding="same"), nn.ReLU(inplace=True), nn.Dropout2d(0.2))
        self.second = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.third = nn.Conv2d(2, 4, (2, 3), stride=(1, 2), bias=False)
        self.scores = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
        self.norm = nn.BatchNorm2d(4)
        self.register_buffer("unused", torch.zeros(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.second(self.first(x.contiguous())).clone()
        x = functional.avg_pool2d(functional.relu(self.norm(self.third(x))), 2)
        x = functional.adaptive_avg_pool2d(x, 1).view(x.size(0), -1)
        return self.scores(functional.dropout(x, training=self.training))


SHAPE = (2, 6, 10)


def flat() -> nn.Module:
    """Vectors that become images, with reshapes of other kinds."""
    return nn.Sequential(
        nn.Unflatten(1, (2, 3, 4)), nn.Conv2d(2, 2, 2), nn.AvgPool2d((2, 2), 2), nn.Flatten(2), nn.Flatten(1), nn.Linear(2, 2)
    )


class Sizes(nn.Module):
    """Arithmetic of sizes, and a condition that torch writes as a guard; parts, of which there is a list."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch._check(2 * x.shape[0] < 100)
        x = torch.cat((*x.split([1, 2], 1), x.select(1, 0).unsqueeze(1)), 1)
        return self.scores(x.view(x.shape[0] * x.shape[1] // x.shape[1], -1))


def exported(module: nn.Module, shape: tuple[int, ...], *, batch: int = 3, dynamic: bool = False, seed: int = 0) -> bytes:
    """The file of a module with weights of a seed."""
    torch.manual_seed(seed)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.7)
    for buffer in module.buffers():
        if buffer.is_floating_point():
            nn.init.uniform_(buffer, 0.2, 1.7)
    shapes = ({0: torch.export.Dim.AUTO},) if dynamic else None
    program = torch.export.export(module.eval(), (torch.zeros(batch, *shape),), dynamic_shapes=shapes)
    torch.export.save(program, buffer := io.BytesIO())
    return buffer.getvalue()


def members(data: bytes) -> dict[str, bytes]:
    """name within the folder -> bytes"""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def packed(parts: dict[str, bytes]) -> bytes:
    """The archive of these members, none compressed."""
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        for name, data in parts.items():
            archive.writestr(f"m/{name}", data)
    return buffer.getvalue()


def in_one_file(data: bytes, state: Any = None) -> bytes:
    """The file in the layout of torch 2.8, in which a file of torch.save holds the weights."""
    state = torch.export.load(io.BytesIO(data)).state_dict if state is None else state
    torch.save(state, buffer := io.BytesIO())
    parts = {name: part for name, part in members(data).items() if not name.startswith("data/weights/")}
    return packed(parts | {"data/weights/model.pt": buffer.getvalue()})


def edited(data: bytes, edit: Callable[[Any], None], member: str = GRAPH) -> bytes:
    """The file with a function applied to the JSON of a member."""
    parts = members(data)
    document = json.loads(parts[member])
    edit(document)
    return packed(parts | {member: json.dumps(document).encode()})


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of everything in a document but what only describes a node to people."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        if key not in ("stack_trace", "nn_module_stack", "torch_fn"):
            yield value, key
            yield from places(value[key])


# ---- one alteration each, of a JSON document ----


def alter_number(generator: random.Random, document: Any) -> None:
    found = [(where, key) for where, key in places(document) if type(where[key]) in (int, float, bool)]
    where, key = generator.choice(found)
    others = [0, 1, 2, -1, 3, where[key] + 1, 2**62, True, False, None, 0.5, "1", []]
    where[key] = generator.choice(others)


def alter_string(generator: random.Random, document: Any) -> None:
    found = [(where, key) for where, key in places(document) if type(where[key]) is str]
    where, key = generator.choice(found)
    other, other_key = generator.choice(found)
    where[key] = generator.choice([other[other_key], where[key] + "_", "", None, "self", "same"])


def alter_key(generator: random.Random, document: Any) -> None:
    found = [(where, key) for where, key in places(document) if isinstance(where, dict)]
    where, key = generator.choice(found)
    other, other_key = generator.choice(found)
    action = generator.randrange(3)
    if action == 0:
        where[other_key] = where.pop(key)
    elif action == 1:
        where[other_key] = copy.deepcopy(other[other_key])
    else:
        del where[key]


def alter_list(generator: random.Random, document: Any) -> None:
    found = [where[key] for where, key in places(document) if isinstance(where[key], list) and where[key]]
    items = generator.choice(found)
    first, second = generator.randrange(len(items)), generator.randrange(len(items))
    action = generator.randrange(4)
    if action == 0:
        items[first], items[second] = items[second], items[first]
    elif action == 1:
        items.insert(first, copy.deepcopy(items[second]))
    elif action == 2:
        items[first] = copy.deepcopy(generator.choice(generator.choice(found)))
    else:
        del items[first]


def alter_same_key(generator: random.Random, document: Any) -> None:
    """Two values of one meaning change places, as two weights, two sizes, two operators."""
    found: dict[str, list[Any]] = {}
    for where, key in places(document):
        if isinstance(where, dict):
            found.setdefault(key, []).append(where)
    key = generator.choice(sorted(found))
    first, second = generator.choice(found[key]), generator.choice(found[key])
    first[key], second[key] = second[key], first[key]


def alter_argument(generator: random.Random, document: Any) -> None:
    """Another argument for a node, one less, one by another name or of another kind."""
    nodes = document["graph_module"]["graph"]["nodes"]
    inputs = generator.choice([node["inputs"] for node in nodes if node["inputs"]])
    argument = generator.choice(inputs)
    every = [entry for node in nodes for entry in node["inputs"]]
    action = generator.randrange(6)
    if action == 0:
        inputs.append(copy.deepcopy(generator.choice(every)))
    elif action == 1:
        inputs.append(copy.deepcopy(argument) | {"name": generator.choice(every)["name"]})
    elif action == 2:
        argument["name"] = generator.choice(every)["name"]
    elif action == 3:
        argument["kind"] = 3 - argument["kind"]
    elif action == 4:
        argument["arg"] = copy.deepcopy(generator.choice(every)["arg"])
    else:
        inputs.remove(argument)


def alter_node(generator: random.Random, document: Any) -> None:
    """One node less, with its users taking what it took; one twice; two operators exchanged; a chain that ends earlier."""
    module = document["graph_module"]
    nodes = module["graph"]["nodes"]
    node, other = generator.choice(nodes), generator.choice(nodes)
    action = generator.randrange(4)
    if action == 0:
        node["target"], other["target"] = other["target"], node["target"]
    elif action == 1 and "as_tensor" in node["outputs"][0]:
        rename(nodes, node["outputs"][0]["as_tensor"]["name"], node["inputs"][0]["arg"]["as_tensor"]["name"])
        nodes.remove(node)
        module["graph"]["tensor_values"].pop(node["outputs"][0]["as_tensor"]["name"], None)
    elif action == 2:
        name = f"more_{generator.randrange(100)}"
        made = copy.deepcopy(node)
        if "as_tensor" not in made["outputs"][0]:
            return
        old = made["outputs"][0]["as_tensor"]["name"]
        module["graph"]["tensor_values"][name] = copy.deepcopy(module["graph"]["tensor_values"][old])
        made["outputs"][0]["as_tensor"]["name"] = made["name"] = name
        rename(nodes, old, name)
        made["inputs"][0]["arg"]["as_tensor"]["name"] = old
        nodes.insert(nodes.index(node) + 1, made)
    elif "as_tensor" in node["outputs"][0]:
        output = node["outputs"][0]
        module["graph"]["outputs"] = [output]
        module["signature"]["output_specs"] = [{"user_output": {"arg": output}}]


def rename(nodes: Any, old: str, new: str) -> None:
    """In all inputs of nodes."""
    for node in nodes:
        for argument in node["inputs"]:
            if argument["arg"] == {"as_tensor": {"name": old}}:
                argument["arg"] = {"as_tensor": {"name": new}}


def alter_consistently(generator: random.Random, document: Any) -> None:
    """One name by another one, or one size by another one, wherever it stands: what a forger would do."""
    if generator.randrange(2):
        names = sorted(document["graph_module"]["graph"]["tensor_values"])
        old, new = generator.choice(names), generator.choice([*names, "fresh", "torch"])
        replace(document["graph_module"], old, new)
    else:
        numbers = [where[key] for where, key in places(document) if type(where[key]) is int]
        replace(document["graph_module"], generator.choice(numbers), generator.choice(numbers))


def replace(value: Any, old: Any, new: Any) -> None:
    for where, key in list(places(value)):
        if type(where[key]) is type(old) and where[key] == old:
            where[key] = new


ALTERATIONS = (
    alter_number,
    alter_string,
    alter_key,
    alter_list,
    alter_same_key,
    alter_argument,
    alter_node,
    alter_consistently,
)


def altered(generator: random.Random, files: list[bytes]) -> tuple[bytes, str]:
    """(a file made of one or two of these, what was done to it)"""
    parts = members(generator.choice(files))
    action = generator.randrange(10)
    if action == 0:  # parts of another file
        other = members(generator.choice(files))
        names = generator.sample(sorted(other), generator.randrange(1, 4))
        return packed(parts | {name: other[name] for name in names}), f"spliced {names}"
    if action == 1:  # members exchanged
        first, second = generator.sample(sorted(parts), 2)
        return packed(parts | {first: parts[second], second: parts[first]}), f"exchanged {first} and {second}"
    if action == 2:
        name = generator.choice(sorted(parts))
        action = generator.randrange(3)
        data = parts[name]
        changed = data[: len(data) // 2] if action == 0 else data + data if action == 1 else b""
        return packed(parts | {name: changed}), f"another length of {name}"
    member = CONFIG if action < 5 and CONFIG in parts else GRAPH
    document = json.loads(parts[member])
    done = []
    for _ in range(generator.choice((1, 1, 2))):
        alteration = generator.choice(ALTERATIONS[:5] if member == CONFIG else ALTERATIONS)
        done.append(alteration.__name__)
        try:
            alteration(generator, document)
        except (KeyError, IndexError, TypeError, AttributeError, ValueError):  # one that doesn't fit where the first one was
            continue
    return packed(parts | {member: json.dumps(document).encode()}), f"{member}: {', '.join(done)}"
