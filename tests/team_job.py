"""What one process of a shared training does in tests/test_teams.py; started by torchrun or by itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from test_training import CPU, MEAN, NET, Toy

from dynsal.config import FlowConfig, TrainConfig
from dynsal.losses import saliency_objective
from dynsal.nets import build
from dynsal.teams import team
from dynsal.training import Job, train


def main() -> None:
    """Train the toy net with the keys given as JSON; the process that leads writes weights and history."""
    folder, keys = Path(sys.argv[1]), json.loads(sys.argv[2])
    seconds = keys.pop("seconds", 0.0)
    torch.set_num_threads(1)
    config = TrainConfig(
        **{"batch_size": 4, "max_iters": 8, "checkpoint_every": 3, "validate_every": 4, **MEAN, **keys}
    )
    objective = saliency_objective(config, NET, FlowConfig(bound=10.0))
    net = build("early", NET, 0)
    with team(CPU) as members:
        job = Job(config, objective, 0, folder / "ckpt", "f", CPU, 0, members)
        outcome = train(net, Toy(seconds=seconds), job, Toy(6))
        if members.leads:
            torch.save({"weights": net.state_dict(), "history": outcome.history}, folder / "out.pt")


if __name__ == "__main__":
    main()
