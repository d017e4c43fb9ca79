"""A checkpoint means one thing: whatever is done to its bytes, zkds refuses it or finds the tensors that torch finds."""

from dataclasses import replace

import numpy as np
import pytest

from tests.harness.hostile_models import Archive, Member, members_of
from tests.harness.sweeps import examples
from zkds.circuits.model_files.model_file import load_model

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.any_kernels

EXAMPLES = examples(250)
LETTERS = b"KM\x88\x89h(t\x85\x86RQ}]uq."  # opcodes that may stand in for each other


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The bytes of a checkpoint with an epoch and a state of an optimizer."""
    from zkds.circuits.networks.torch_module import build, save_checkpoint

    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("meaning") / "m.pt"
    module = build("digits-mlp")
    save_checkpoint(module, "digits-mlp", path)
    document = torch.load(path)
    torch.save(document | {"epoch": 3, "optimizer": {"state": {0: {"step": torch.tensor(5.0)}}, "lr": 0.1}}, path)
    return path.read_bytes()


def flip(data, rng, positions):
    data = bytearray(data)
    for position in positions:
        data[position] = int(rng.integers(256))
    return bytes(data)


def flipped(good, rng):
    """Bytes of the file, mostly of its headers, which are most of the last third."""
    low = 0 if rng.integers(2) else 2 * len(good) // 3
    return flip(good, rng, rng.integers(low, len(good), rng.integers(1, 4)))


def extended(good, rng):
    more = rng.bytes(int(rng.integers(1, 100)))
    place = int(rng.choice([0, len(good), rng.integers(len(good))]))
    return good[:place] + more + good[place:] if rng.integers(2) else good[:place] + good[place + len(more) :]


def spliced(good, rng):
    """Members twice, elsewhere, under another name, with the bytes of another one."""
    members = members_of(good)
    for _ in range(rng.integers(1, 3)):
        a, b = (int(index) for index in rng.integers(0, len(members), 2))
        first, second = members[a], members[b]
        match rng.integers(7):
            case 0:
                members.insert(b, first)
            case 1:
                members[a], members[b] = second, first
            case 2:
                members.append(replace(second, name=first.name.swapcase()))
            case 3:
                members[a] = replace(first, data=second.data)
            case 4:
                members[a] = replace(first, local_name=second.name)
            case 5:
                members[a] = replace(first, data=flip(first.data, rng, rng.integers(0, len(first.data), 1)))
            case 6:
                del members[a]
    return Archive(members).encode()


def repickled(good, rng):
    """Other numbers, other places of the memo, other opcodes, parts twice or left out; checksums are right."""
    members = members_of(good)
    index = next(index for index, member in enumerate(members) if member.name.endswith(b"data.pkl"))
    data = bytearray(members[index].data)
    numbers = [place for place in range(len(data) - 2) if data[place] in b"Kh"]
    match rng.integers(5):
        case 0 | 1:
            place = int(rng.choice(numbers))
            data[place + 1] = int(rng.choice([0, 1, 2, 10, 32, 64, 255, data[int(rng.choice(numbers)) + 1]]))
        case 2:
            data[int(rng.integers(2, len(data)))] = int(rng.choice(list(LETTERS)))
        case 3:
            start, end = sorted(int(place) for place in rng.integers(2, len(data), 2))
            data[start:start] = data[start : min(end, start + 60)]
        case 4:
            start = int(rng.integers(2, len(data)))
            del data[start : start + int(rng.integers(1, 8))]
    members[index] = Member(members[index].name, bytes(data))
    return Archive(members).encode()


@pytest.mark.sweep
@pytest.mark.parametrize("change", [flipped, extended, spliced, repickled])
def test_zkds_refuses_a_changed_checkpoint_or_reads_what_torch_reads(good, change, tmp_path):
    rng = np.random.default_rng(8)
    path = tmp_path / "m.pt"
    same, refused = 0, 0
    for _ in range(EXAMPLES):
        path.write_bytes(change(good, rng))
        try:
            model = load_model(path)
        except ValueError as error:
            assert str(error).startswith(f"{path}: ")
            refused += 1
            continue
        expected = torch.load(path, weights_only=True)
        assert expected["arch"] == model.architecture
        for name, values in model.parameters.items():
            tensor = expected["state_dict"][name].detach().double().numpy()
            np.testing.assert_array_equal(values.reshape(tensor.shape), tensor)
        same += 1
    assert refused > EXAMPLES // 2 and same > 0, (same, refused)
