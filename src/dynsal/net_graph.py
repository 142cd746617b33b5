"""What a net really does, step by step, seen in one forward pass: for drawings that cannot be out of step with it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_MOVES = {"as_tensor", "contiguous", "to", "detach"}
"""Functions that change nothing that a drawing could show."""
_INPUTS = ("frame", "flow")


@dataclass
class Step:
    """One layer, or one function between layers.

    Parameters
    ----------
    name
        Path of the layer in the net, such as ``head.conv1``; the function's name otherwise.
    kind
        Class of the layer (``Conv2d``), name of the function (``maximum``), or ``input``.
    shape
        Of the output, without the batch: channels, height, width; or features.
    sources
        Positions of the steps whose outputs it takes.
    kernel, stride
        Of layers that have them; rows and columns.
    parameters
        How many numbers it learns.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    sources: tuple[int, ...] = ()
    kernel: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None
    parameters: int = 0


@dataclass
class _Recorder(TorchFunctionMode):
    """Writes down every layer and, outside of layers, every function that takes a tensor already seen."""

    steps: list[Step] = field(default_factory=list)
    inside: int = 0

    def __post_init__(self) -> None:
        super().__init__()
        self._made: dict[int, int] = {}
        self._kept: list[Tensor] = []  # so that no id comes twice

    def add(self, step: Step, output: Tensor) -> None:
        self._made[id(output)] = len(self.steps)
        self._kept.append(output)
        self.steps.append(step)

    def sources(self, values: Any) -> tuple[int, ...]:
        """Return the steps that made the tensors among some arguments, in order."""
        return tuple(self._made[id(tensor)] for tensor in _tensors(values) if id(tensor) in self._made)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if self.inside:
            return func(*args, **(kwargs or {}))
        sources = self.sources([*args, *(kwargs or {}).values()])
        self.inside += 1  # what a function calls is part of it
        try:
            output = func(*args, **(kwargs or {}))
        finally:
            self.inside -= 1
        name = getattr(func, "__name__", "")
        if isinstance(output, Tensor) and sources and name != "__get__":
            if name in _MOVES:
                self._made[id(output)] = sources[0]
                self._kept.append(output)
            else:
                self.add(Step(name, name, tuple(output.shape[1:]), sources), output)
        return output


def graph(net: nn.Module, size: tuple[int, int]) -> list[Step]:
    """Return the steps of a net in the order in which it takes them, inputs first.

    Parameters
    ----------
    net
        A net of `dynsal.nets`: it takes ``frame`` and ``flow``. It is not changed, and only sizes are computed.
    size
        Width and height of the inputs.

    Returns
    -------
    list of Step
        Inputs that nothing looks at are left out.
    """
    width, height = size
    recorder = _Recorder()
    net = copy.deepcopy(net).to("meta").eval()
    inputs = [torch.empty(1, 3, height, width, device="meta") for _ in _INPUTS]
    for name, tensor in zip(_INPUTS, inputs, strict=True):
        recorder.add(Step(name, "input", (3, height, width)), tensor)
    with _watched(net, recorder), torch.no_grad(), recorder:
        net(*inputs)
    return _without_unused(recorder.steps)


def parameter_layers(net: nn.Module) -> list[str]:
    """Return the names of all layers that have parameters of their own."""
    return [name for name, module in net.named_modules() if list(module.parameters(recurse=False))]


@contextmanager
def _watched(net: nn.Module, recorder: _Recorder) -> Iterator[None]:
    """Record every call of a layer without children."""

    def before(*_: Any) -> None:
        recorder.inside += 1

    hooks = []
    for name, layer in net.named_modules():
        if any(True for _ in layer.children()):
            continue

        def after(layer: nn.Module, args: Any, output: Tensor, name: str = name) -> None:
            shape = tuple(output.shape[1:])
            recorder.inside -= 1
            step = Step(
                name,
                type(layer).__name__,
                shape,
                recorder.sources(args),
                _pair(getattr(layer, "kernel_size", None)),
                _pair(getattr(layer, "stride", None)),
                sum(parameter.numel() for parameter in layer.parameters()),
            )
            recorder.add(step, output)

        hooks += [layer.register_forward_pre_hook(before), layer.register_forward_hook(after)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _pair(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)


def _without_unused(steps: Sequence[Step]) -> list[Step]:
    """Return the steps that the last one depends on."""
    needed, queue = set(), [len(steps) - 1]
    while queue:
        position = queue.pop()
        if position not in needed:
            needed.add(position)
            queue.extend(steps[position].sources)
    kept = sorted(needed)
    place = {old: new for new, old in enumerate(kept)}
    return [
        Step(**{**vars(steps[old]), "sources": tuple(place[source] for source in steps[old].sources)})
        for old in kept
    ]
