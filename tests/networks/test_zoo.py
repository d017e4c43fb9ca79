"""Networks with a name: their sizes, their widths, and that their torch modules export to the same description."""

import numpy as np
import pytest
import torch

from tests.harness.sweeps import long_but
from zkds.circuits.model_files.model_file import load_model
from zkds.circuits.model_files.torch_import import from_module
from zkds.circuits.networks import zoo
from zkds.circuits.networks.torch_module import NetworkModule, build, save_checkpoint

pytestmark = pytest.mark.any_kernels

NARROW = "1/32"
LIKE_OTHERS = [f"vgg{layers}{norm}" for layers in (13, 16, 19) for norm in ("", "-bn") if (layers, norm) != (16, "-bn")]
PARAMETERS = {
    "lenet5": 61_706,
    "lenet-k": 57_508,
    "alexnet": 2_472_266,
    "vgg11": 9_225_610,
    "vgg16-bn": 14_728_266,
    "resnet18": 11_173_962,
    "wide-resnet-28-10": 36_489_290,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_sizes(name):
    assert zoo.network(name).parameter_count == PARAMETERS[name]


def test_sizes_of_the_paper_s_networks():
    """Of Table 6, in millions."""
    assert 5.2e6 < zoo.network("alexnet-k").parameter_count < 5.3e6
    assert 9.1e6 < zoo.network("vgg11-k").parameter_count < 9.3e6


@pytest.mark.parametrize("name", long_but([name for name in zoo.ARCHITECTURES if name not in LIKE_OTHERS], zoo.ARCHITECTURES))
def test_modules_export_to_their_own_description(name):
    torch.manual_seed(1)
    torch.set_num_threads(1)
    network = zoo.network(f"{name}:{NARROW}")
    module = NetworkModule(network).double().eval()
    imported, tensors = from_module(module, network.input_shape)
    assert imported == network
    assert {name: values.shape for name, values in tensors.items()} == dict(network.tensors)


@pytest.mark.parametrize("name", ["resnet20:1/4", "vgg11-bn:1/16"])
def test_checkpoints_of_a_width(name, tmp_path):
    module = build(name)
    save_checkpoint(module, name, tmp_path / "m.pt")
    torch.save(module.state_dict(), tmp_path / "bare.pt")
    named, bare = load_model(tmp_path / "m.pt"), load_model(tmp_path / "bare.pt", arch=name)
    assert named.network == bare.network == zoo.network(name) and named.architecture == name
    np.testing.assert_equal(dict(named.parameters), dict(bare.parameters))
    with pytest.raises(ValueError, match=f"arch: the file says {name}, and the caller resnet20$"):
        load_model(tmp_path / "m.pt", arch="resnet20")


@pytest.mark.parametrize("width", ["0", "5", "-1", "1e9", "1/0", "", "1/4/2", "0.5.5", "9" * 50, "1e999999999"])
def test_widths_that_are_none(width):
    with pytest.raises(ValueError, match="width: expected a fraction above 0 and at most 4, such as 1/4"):
        zoo.network(f"lenet5:{width}")


def test_names_that_are_none():
    with pytest.raises(ValueError, match=r"architecture: expected one of lenet5, .*, got 'resnet'"):
        zoo.network("resnet")
    assert zoo.is_known("resnet20:1/4") and not zoo.is_known("resnet") and not zoo.is_known(None)
    assert zoo.network("lenet5:1/2").parameter_count < zoo.network("lenet5:1").parameter_count == 61_706
