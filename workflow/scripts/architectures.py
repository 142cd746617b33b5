"""Draw nets as block diagrams, from the nets themselves, with a test frame at one end and their maps at the other.

Every layer is what one forward pass was seen to do. The frame is the median of those that figure 4 chooses from.
"""

import argparse
import string
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import nn

from dynsal import script
from dynsal.examples import View, view
from dynsal.figures import flow_colours, label, save
from dynsal.figures.choice import choose, well_seen
from dynsal.figures.diagrams import diagrams
from dynsal.figures.pictures import common_bound, common_scale, overlay
from dynsal.figures.style import short_name
from dynsal.inference import Predictor
from dynsal.net_graph import graph
from dynsal.nets import build
from dynsal.tables import load_scores
from dynsal.training import load_model

TITLES = {
    "spatial": "Spatial stream",
    "temporal": "Temporal stream",
    "late": "Late fusion",
    "early": "Early fusion",
}


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    params = script.read_params(arguments)
    results, seed = arguments.results, arguments.seed
    ranking = well_seen(load_scores(results, {arguments.ranked_by: [seed]}, arguments.videos))
    chosen = ranking.iloc[next(iter(choose(ranking["sauc"], ["median"])))]
    seen = view(results, str(chosen["video"]), int(chosen["frame"]), params.gaze)
    nets: dict[str, nn.Module] = {}
    maps: dict[str, NDArray[Any]] = {}
    for letter, drawn in zip(string.ascii_lowercase, arguments.nets, strict=False):
        arch, _, name = drawn.partition("=")
        title = f"({letter}) {TITLES.get(arch, arch)}"
        if name:
            net, meta = load_model(results / "models" / name / f"seed{seed}" / "model.safetensors")
            maps[title] = Predictor(net, meta)(seen.bgr[None], seen.flow[None])[0]
            nets[title] = net
        else:
            nets[title] = build(arch, params.net.model_copy(update={"init": "he"}))
    height, width = seen.bgr.shape[:2]
    steps = {title: graph(net, (width, height)) for title, net in nets.items()}
    note = (
        f"Frame {chosen['frame']} of {short_name(str(chosen['video']))}: the median by the sAUC of "
        f"{label(arguments.ranked_by)}, of {len(ranking)} test frames that figure 4 chooses from."
    )
    save(diagrams(steps, pictures(seen, maps, list(nets)), note), arguments.out)


def pictures(
    seen: View, maps: dict[str, NDArray[Any]], titles: list[str]
) -> dict[str, dict[str, NDArray[Any]]]:
    """Return the pictures at the ends of every net; no output for one without weights."""
    ends: dict[str, NDArray[Any]] = {
        "frame": seen.bgr[..., ::-1],
        "flow": flow_colours(seen.flow, common_bound([seen.flow])),
    }
    scale = common_scale(maps.values()) if maps else None
    return {
        title: {
            **ends,
            **({"output": overlay(seen.bgr, maps[title], scale)} if scale and title in maps else {}),
        }
        for title in titles
    }


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results/{ds}")
    parser.add_argument("--videos", nargs="+", required=True, help="test videos")
    parser.add_argument(
        "--nets",
        nargs="+",
        required=True,
        help="ARCH=MODEL, or ARCH alone for one that no model has: drawn untrained",
    )
    parser.add_argument("--ranked-by", required=True, help="model whose scores choose the frame")
    parser.add_argument("--seed", type=int, default=0, help="whose weights are shown")
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="pictures; the suffix gives the format"
    )
    script.run(main, parser.parse_args())
