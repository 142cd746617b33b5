"""Draw still images with the motion predicted for them, where people looked, and the maps of rows of Table 3.

Of the test images, sorted by the first net's sAUC, the one picture shows the median with all rows of the table, the
other the best, those at the quartiles and the median, and the worst. Nothing is chosen by hand.
"""

import argparse
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dynsal import baselines, script
from dynsal.clips import Clip
from dynsal.datasets import open_dataset
from dynsal.datasets.base import Dataset
from dynsal.errors import DataError
from dynsal.evaluation import fitted
from dynsal.examples import view
from dynsal.figures import label, save
from dynsal.figures.choice import choose
from dynsal.figures.grids import FLOW, FRAME, TRUTH, Example, compared, one_example
from dynsal.inference import Predictor
from dynsal.references import score_path
from dynsal.submission import baseline_maps
from dynsal.training import load_model

Image = NDArray[np.uint8]
Map = NDArray[np.floating[Any]]
Place = tuple[str, int]
"""Shard, and number of an image in it."""
HEADINGS = {FRAME: "Image", FLOW: "Predicted motion", TRUTH: "Gaze"}


def read_scores(arguments: argparse.Namespace, name: str, seed: int) -> pd.DataFrame:
    """Return image and sAUC of every test image in a row of the table, by shard and frame."""
    tables = []
    for shard in arguments.shards:
        path = score_path(arguments.results, name, seed, shard)
        try:
            table = pd.read_parquet(path, columns=["frame", "image", "sauc"])
        except (OSError, ValueError) as error:
            raise DataError(path, f"cannot be read as scores ({error})", "Score the model again") from None
        tables.append(table.assign(shard=shard))
    return pd.concat(tables).set_index(["shard", "frame"])


def originals(dataset: Dataset, places: Collection[Place]) -> Iterator[tuple[Place, Image]]:
    """Yield the images of some places as they were downloaded."""
    for shard in dict.fromkeys(shard for shard, _ in places):
        wanted = {frame for other, frame in places if other == shard}
        pictures = dataset.open_frames(shard, wanted.__contains__)
        yield from (((shard, frame), bgr) for frame, (_, bgr) in enumerate(pictures) if bgr is not None)


class Net:
    """A net that gets the motion predicted for an image, or none, as it was trained."""

    def __init__(self, path: Path) -> None:
        net, meta = load_model(path)
        self._predictor = Predictor(net, meta)
        self._motionless = meta.get("motion") == "none"

    def __call__(self, bgr: Image, flow: NDArray[np.float32]) -> Map:
        """Return the map of an image."""
        seen = np.zeros_like(flow) if self._motionless else flow
        return np.asarray(self._predictor(bgr[None], seen[None])[0])


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    cv2.setNumThreads(1)
    params = script.read_params(arguments)
    results, seed, entries = arguments.results, arguments.seed, json.loads(arguments.baselines)
    scores = {name: read_scores(arguments, name, seed) for name in arguments.nets}
    scores |= {name: read_scores(arguments, name, 0) for name in entries}
    ranking = scores[arguments.nets[0]]
    chosen: dict[Place, str] = {ranking.index[row]: rank for row, rank in choose(ranking["sauc"]).items()}
    views = {place: view(results, *place, params.gaze) for place in chosen}
    maps: dict[str, dict[Place, Map]] = {}
    for name in arguments.nets:
        net = Net(results / "models" / name / f"seed{seed}" / "model.safetensors")
        maps[name] = {place: net(seen.bgr, seen.flow) for place, seen in views.items()}
    pictures = {place: seen.bgr for place, seen in views.items()}
    if entries and arguments.raw:
        pictures = dict(originals(open_dataset(params.dataset, arguments.raw), chosen))
    height, width = next(iter(views.values())).bgr.shape[:2]
    for name, entry in entries.items():
        options = baselines.parse(json.dumps(entry["options"]))
        model = baselines.create(options, baselines.by_name(map(Path, entry["files"])))
        size = tuple(arguments.size) if arguments.size else (width, height)
        found = fitted(baseline_maps(model, enumerate(pictures.values()), size), (width, height))
        maps[name] = {place: saliency for place, (_, saliency) in zip(pictures, found, strict=True)}
    examples = [
        Example(
            title=f"{rank}:\n{Path(ranking['image'].loc[place]).stem}",
            **views[place]._asdict(),
            maps={name: by_place[place] for name, by_place in maps.items()},
            scores={name: float(table["sauc"].loc[place]) for name, table in scores.items()},
        )
        for place, rank in chosen.items()
    ]
    by = f"by the sAUC of {label(arguments.nets[0])}, of {int(ranking['sauc'].notna().sum())} test images."
    median = examples[len(examples) // 2]
    parts = [FRAME, FLOW, TRUTH]
    one = one_example(
        median, [*parts, *maps], f"Image: {median.title}, {by}".replace(":\n", " "), headings=HEADINGS
    )
    save(one, arguments.motion_out)
    rule = f"Images: the best, the quartiles, the median and the worst {by}"
    several = compared(examples, [*parts, *arguments.shown], rule, down=True, headings=HEADINGS)
    save(several, arguments.stills_out)
    with Clip(results / "flow" / f"{arguments.shards[0]}.h5") as clip:
        made = clip.attrs.get("estimator", "an unknown net")
    titles = "; ".join(example.title.replace("\n", " ") for example in examples)
    script.log.info("motion by %s; %s", made, titles)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results/{ds} of the still images")
    parser.add_argument(
        "--raw",
        type=Path,
        help="folder of the original images, which baselines are scored on; else they see the clips'",
    )
    parser.add_argument("--shards", nargs="+", required=True, help="test shards")
    parser.add_argument(
        "--nets", nargs="+", required=True, help="columns; the first one's scores choose the images"
    )
    parser.add_argument(
        "--baselines", default="{}", help='JSON: name -> {"options": {...}, "files": [paths]}'
    )
    parser.add_argument("--size", type=int, nargs=2, help="of the baselines' images; else the clips'")
    parser.add_argument("--seed", type=int, default=0, help="whose weights are shown")
    parser.add_argument("--shown", nargs="+", required=True, help="nets below the images of figure 7")
    for figure, name in (("6", "motion"), ("7", "stills")):
        text = f"pictures of figure {figure}; the suffix gives the format"
        parser.add_argument(f"--{name}-out", type=Path, nargs="+", required=True, help=text)
    script.run(main, parser.parse_args())
