"""One training shared by two processes of one thread each, against one process of two threads; the same global batch.

Work: ``dynsal.training.train`` under torchrun with gloo. Limit: the same in one process. Figures are steps per second by
the history, the first half left out. Both take turns.

python benchmarks/bench_teams.py --size 160 96 --batch 8
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from _common import at_least, begin, environment, median_ratio, parser, show

TARGET = 0.9


def work(folder: Path, keys: dict[str, int]) -> None:
    """Train on random samples in this process, which torchrun may have started; the leading one writes its speed."""
    import torch

    from dynsal.config import FlowConfig, NetConfig, TrainConfig
    from dynsal.losses import saliency_objective
    from dynsal.nets import build
    from dynsal.teams import team
    from dynsal.training import Job, train

    class Samples:
        """One random sample, as often as wanted."""

        def __init__(self) -> None:
            self.groups = [list(range(4096))]
            shape = (keys["height"], keys["width"])
            density = torch.rand(1, *shape)
            self._sample = {
                "frame": torch.randint(0, 255, (3, *shape), dtype=torch.uint8),
                "flow": torch.randn(2, *shape).half(),
                "density": density / density.sum(),
                "fixations": torch.zeros(1, *shape, dtype=torch.uint8),
            }

        def __len__(self) -> int:
            return 4096

        def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
            return self._sample

    torch.set_num_threads(keys["threads"])
    config = TrainConfig(
        base_lr=1e-9, loss="kld", max_iters=keys["steps"], batch_size=keys["batch"], checkpoint_every=10**6
    )
    net_config, cpu = NetConfig(width=keys["width_percent"] / 100, coding="log_density"), torch.device("cpu")
    with team(cpu) as members:
        objective = saliency_objective(config, net_config, FlowConfig())
        job = Job(config, objective, 0, folder / "c", "bench", cpu, 0, members)
        rows = train(build("early", net_config), Samples(), job).history
        if members.leads:
            late = rows[len(rows) // 2 :]
            speed = len(late) / sum(float(row["seconds"] or 0) for row in late)
            (folder / "speed.json").write_text(json.dumps(speed), encoding="utf-8")


def speed(processes: int, keys: dict[str, int]) -> float:
    """Run the training in so many processes, two threads in all; return its steps per second."""
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    with tempfile.TemporaryDirectory() as folder:
        words = [__file__, "--work", folder, "--keys", json.dumps({**keys, "threads": 2 // processes})]
        subprocess.run(
            [sys.executable, *(launch if processes > 1 else []), *words],
            env={**environment(), "OMP_NUM_THREADS": str(2 // processes)},
            check=True,
            capture_output=True,
        )
        return float(json.loads((Path(folder) / "speed.json").read_text(encoding="utf-8")))


def main() -> None:
    """Measure and print."""
    options_parser = parser(__doc__, repeats=3)
    options_parser.add_argument("--size", type=int, nargs=2, default=[160, 96], metavar=("WIDTH", "HEIGHT"))
    options_parser.add_argument("--batch", type=int, default=8)
    options_parser.add_argument("--steps", type=int, default=40)
    options_parser.add_argument("--width-percent", type=int, default=25, help="of the paper's net")
    options_parser.add_argument("--work", help="used by the processes themselves")
    options_parser.add_argument("--keys", help="likewise")
    options = options_parser.parse_args()
    if options.work:
        work(Path(options.work), json.loads(options.keys))
        return
    begin("early fusion, two processes of one thread; limit: one process of two threads; steps per second")
    keys = {
        "width": options.size[0], "height": options.size[1], "batch": options.batch, "steps": options.steps,
        "width_percent": options.width_percent,
    }  # fmt: skip
    turns: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(options.repeats):
        for processes, found in turns.items():
            found.append(speed(processes, keys))
    ratio = median_ratio(turns[2], turns[1])
    one, two = (statistics.median(found) for found in turns.values())
    name = f"{options.size[0]}x{options.size[1]}, batch {options.batch}, width {options.width_percent} %"
    show(name, f"{two:.2f}", f"{one:.2f}", ratio, at_least(ratio, TARGET))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
