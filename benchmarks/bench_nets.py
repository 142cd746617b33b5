"""Speed of the nets: forward and training step per architecture, layout and number of threads.

python benchmarks/bench_nets.py --width 0.25 --size 160 120 --threads 1 2
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import nn

from dynsal.config import NetConfig
from dynsal.device import limit_threads, pick_device
from dynsal.losses import euclidean
from dynsal.nets import REGISTRY, build


def gmac(net: nn.Module, image: torch.Tensor) -> float:
    """Return 1e9 multiply-accumulates of the convolutions in one forward pass."""
    total = 0.0

    def count(layer: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            total += layer.weight[0].numel() * output.numel() / 1e9

    hooks = [layer.register_forward_hook(count) for layer in net.modules()]
    with torch.inference_mode():
        net(image, image)
    for hook in hooks:
        hook.remove()
    return total


def milliseconds(work: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Return the least time of a call, after one to warm up; other processes can only add to it."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times[1:])


def measure(arch: str, channels_last: bool, options: argparse.Namespace) -> tuple[float, float, float, int]:
    """Return forward ms, training step ms, GMAC per forward pass, parameters."""
    device = pick_device()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    net = build(arch, NetConfig(width=options.width)).to(device=device, memory_format=layout)  # type: ignore[call-overload]
    width, height = options.size
    image = torch.randn(options.batch_size, 3, height, width, device=device).contiguous(memory_format=layout)
    density = torch.rand(options.batch_size, 1, height, width, device=device)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-9, momentum=0.9, fused=True)

    def forward() -> None:
        with torch.inference_mode():
            net(image, image)

    def step() -> None:
        optimizer.zero_grad()
        euclidean(net(image, image), density).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    forward_ms = milliseconds(forward, options.repeats, device)
    step_ms = milliseconds(step, options.repeats, device)
    return forward_ms, step_ms, gmac(net, image), sum(p.numel() for p in net.parameters())


def main() -> None:
    """Print one row per architecture, layout and number of threads."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--arch", nargs="+", default=list(REGISTRY), choices=list(REGISTRY))
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--size", type=int, nargs=2, default=(160, 120), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--layouts", nargs="+", default=["nhwc", "nchw"], choices=["nhwc", "nchw"])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(f"{pick_device()}, width {options.width}, {options.size}, batch {options.batch_size}")
    print("arch      layout  threads  parameters  GMAC   forward ms  GMAC/s  step ms")
    for threads in options.threads:
        used = limit_threads(threads)
        for arch in options.arch:
            for layout in options.layouts:
                forward, step, work, count = measure(arch, layout == "nhwc", options)
                print(
                    f"{arch:9} {layout:7} {used:7} {count:11,} {work:6.1f} {forward:11.1f} {1e3 * work / forward:7.0f} "
                    f"{step:8.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
