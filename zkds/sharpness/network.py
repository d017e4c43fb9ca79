"""A model as a function of its parameters, evaluated without writing to the model.

Every pass goes through `torch.func.functional_call`, with the weights of the moment as an argument. So w_0 is the model's own
memory, read only, and a probe needs room for w_t, the perturbed weights and one gradient besides. Nothing has to be restored
but the training flags and the states of random number generators; a probe that fails half way leaves the same model behind.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from zkds.sharpness.config import BatchNorm, Parameters
from zkds.sharpness.loss import example_losses
from zkds.sharpness.messages import first_line
from zkds.sharpness.programs import constants, is_program, module_of, recorded_shape

DTYPES = (torch.float32, torch.float64)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class Network:
    """names: of the measured parameters, in the model's order; initial: their values, w_0. device, dtype: of all passes.

    classes: number of logits, known after the first pass.
    """

    def __init__(
        self,
        model: nn.Module | torch.export.ExportedProgram,
        *,
        batch_norm: BatchNorm = "eval",
        parameters: Parameters = "all",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        model = module_of(model)
        if batch_norm == "train" and is_program(model):
            raise ValueError('batch_norm: expected "eval" for an exported program, whose mode is recorded in it')
        everything = _parameters(model)
        measured = _measured(everything, parameters)
        self._model = model
        self._batch_norm = batch_norm
        self._recorded = recorded_shape(model)
        self.classes = 0
        self.names = tuple(measured)
        self.device = _device(measured, device)
        self.dtype = _dtype(measured, dtype)
        with torch.inference_mode(False):  # whose tensors autograd refuses
            self.initial = tuple(self._place(parameter) for parameter in measured.values())
            unmeasured = {name: self._place(p) for name, p in everything.items() if name not in measured}
            buffers = dict(model.named_buffers()) | constants(model)
            copies = {name: self._place(buffer, copy=True) for name, buffer in buffers.items()}
        self._fixed = unmeasured | copies

    def _place(self, tensor: Tensor, copy: bool = False) -> Tensor:
        """The tensor on this device, floats in this dtype; the same memory if that is so already, unless copied."""
        dtype = self.dtype if tensor.is_floating_point() else tensor.dtype
        return tensor.detach().to(self.device, dtype, copy=copy or tensor.is_inference())

    @contextlib.contextmanager
    def isolated(self) -> Iterator[None]:
        """Around all passes: evaluation mode, gradients on, mixed precision and TF32 off; all of it as it was afterwards.

        The states of the random number generators of torch (CPU and this device), NumPy and Python are put back too.
        """
        flags = [(module, module.training) for module in self._model.modules()]
        with _generators_kept(self.device), _exact_arithmetic(self.device):
            try:
                for module, _ in flags:  # the attribute, since exported programs refuse train() and eval()
                    module.training = self._batch_norm == "train" and isinstance(module, _BATCH_NORMS)
                yield
            finally:
                for module, flag in flags:
                    module.training = flag

    def logits(self, parameters: Sequence[Tensor], inputs: Tensor) -> Tensor:
        """The (B, K) output for inputs (B, ...). Raises ValueError if the model fails or returns something else."""
        tensors = self._fixed | dict(zip(self.names, parameters, strict=True))
        batches = self._as_recorded(self._place(inputs))
        with _named(f"fails on inputs of shape {tuple(inputs.shape)}"):
            outputs = [functional_call(self._model, tensors, (batch,)) for batch in batches]
        for output, batch in zip(outputs, batches, strict=True):
            self._check(output, len(batch))
        self.classes = outputs[0].shape[1]
        whole: Tensor = torch.cat(outputs) if len(outputs) > 1 else outputs[0]
        return whole[: len(inputs)]

    def _as_recorded(self, inputs: Tensor) -> list[Tensor]:
        """Batches of the size that an exported program takes, the last one filled up with records again; else all in one."""
        if self._recorded is None:
            return [inputs]
        if len(self._recorded) != inputs.ndim:
            recorded = ", ".join("B" if length is None else str(length) for length in self._recorded)
            raise ValueError(
                f"model: the program takes inputs of shape ({recorded}), not batches of shape {tuple(inputs.shape)}; export it "
                "with an example of shape (batch, ...)"
            )
        size = self._recorded[0]
        if size is None or size == len(inputs):
            return [inputs]
        count = -(-len(inputs) // size) * size
        return list(torch.split(inputs[torch.arange(count, device=inputs.device) % len(inputs)], size))

    def _check(self, output: object, records: int) -> None:
        if not isinstance(output, Tensor):
            raise ValueError(
                f"model: expected a tensor of logits (B, classes), got {type(output).__name__}; wrap the model in a "
                "module whose forward returns the logits alone"
            )
        if output.ndim != 2 or output.shape[0] != records or output.shape[1] < 2:
            expected = f"({records}, classes), two classes or more"
            raise ValueError(f"model: expected logits of shape {expected}, got {tuple(output.shape)}")

    def losses(
        self, parameters: Sequence[Tensor], inputs: Tensor, labels: Tensor, indices: Sequence[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss of each example (B,), whether the first largest logit is its label's (B,) bool, and its margin (B,), the largest
        logit less the second largest.

        Raises ValueError for labels that the model has no logit for; `indices` number the records in that message.
        """
        logits = self.logits(parameters, inputs)
        classes = logits.shape[1]
        outside = ((labels < 0) | (labels >= classes)).nonzero()
        if len(outside):
            record = indices[int(outside[0])]
            raise ValueError(f"labels: expected 0 to {classes - 1}, the model's classes; record {record} has another")
        labels = labels.to(self.device)
        largest = logits.detach().topk(2, dim=1).values
        return example_losses(logits, labels), logits.detach().argmax(dim=1) == labels, largest[:, 0] - largest[:, 1]

    def gradient(self, loss: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
        """The gradient of a scalar loss for each of the parameters; zeros for those that it does not depend on."""
        if not loss.requires_grad:
            raise ValueError("model: expected a loss that depends on the parameters; is forward under no_grad?")
        with _named("has no gradient"):
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        return [gradient.to_dense() if gradient.is_sparse else gradient for gradient in gradients]


def leaves(parameters: Sequence[Tensor]) -> list[Tensor]:
    """The same memory as fresh leaves of an autograd graph."""
    return [parameter.detach().requires_grad_() for parameter in parameters]


def _parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    parameters = dict(model.named_parameters())
    if not parameters:
        raise ValueError("model: has no parameters")
    if any(isinstance(parameter, nn.parameter.UninitializedParameter) for parameter in parameters.values()):
        raise ValueError("model: has parameters without a shape yet; call it once first")
    return parameters


def _measured(parameters: dict[str, nn.Parameter], choice: Parameters) -> dict[str, nn.Parameter]:
    """Without empty ones, and without integers, which have no gradient."""
    numbers = {name: p for name, p in parameters.items() if p.numel() and (p.is_floating_point() or p.is_complex())}
    measured = {name: p for name, p in numbers.items() if choice == "all" or p.requires_grad}
    if not measured:
        raise ValueError('model: is frozen, no parameter requires a gradient; parameters="all" takes those that do not, too')
    return measured


def _device(parameters: dict[str, nn.Parameter], device: torch.device | str | None) -> torch.device:
    if device is not None:
        return torch.device(device)
    found = {parameter.device for parameter in parameters.values()}
    if len(found) > 1:
        raise ValueError(f"device: parameters lie on {' and '.join(sorted(map(str, found)))}, say which one to use")
    return found.pop()


def _dtype(parameters: dict[str, nn.Parameter], dtype: torch.dtype | None) -> torch.dtype:
    found = {dtype} if dtype else {parameter.dtype for parameter in parameters.values()}
    if not found <= set(DTYPES) or len(found) > 1:
        names = " and ".join(sorted(map(str, found)))
        raise ValueError(f"dtype: expected torch.float32 or torch.float64 for all parameters, got {names}")
    return found.pop()


@contextlib.contextmanager
def _named(what: str) -> Iterator[None]:
    """The model's own errors, of whatever kind, as a ValueError with what they say; too little memory as a MemoryError."""
    try:
        yield
    except MemoryError:
        raise
    except torch.OutOfMemoryError as error:
        raise MemoryError(f"model: {first_line(error)}") from error
    except Exception as error:
        raise ValueError(f"model: {what}: {first_line(error)}") from error


@contextlib.contextmanager
def _generators_kept(device: torch.device) -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    devices = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices, device_type=device.type if devices else "cuda"):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


@contextlib.contextmanager
def _exact_arithmetic(device: torch.device) -> Iterator[None]:
    cudnn = torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, deterministic=True, allow_tf32=False)
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False), cudnn:
        yield
