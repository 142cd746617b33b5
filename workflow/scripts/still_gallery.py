"""Draw still images with the motion predicted for them, where people looked, and the maps of several rows of Table 3.

Which images: of the test images, sorted by the first row's sAUC, the worst, the quartiles, the median and the best.
Nothing is chosen by hand.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dynsal import baselines, script
from dynsal.clips import Clip
from dynsal.evaluation import resize_map
from dynsal.examples import view
from dynsal.figures import Example, overview, save
from dynsal.inference import Predictor
from dynsal.references import score_path
from dynsal.submission import baseline_maps
from dynsal.training import load_model


def chosen(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the rows at the minimum, the quartiles and the maximum of sAUC, the best first."""
    valid = scores.dropna(subset=["sauc"]).sort_values(["sauc", "image"], ascending=False)
    places = np.unique(np.round(np.linspace(0, len(valid) - 1, 5)).astype(int))
    return valid.iloc[places]


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    cv2.setNumThreads(1)
    params = script.read_params(arguments)
    results, seed = arguments.results, arguments.seed
    models = {
        name: load_model(results / "models" / name / f"seed{seed}" / "model.safetensors")
        for name in arguments.nets
    }
    predictors = {name: (Predictor(*found), found[1].get("motion")) for name, found in models.items()}
    simple = {
        name: baselines.create(
            baselines.parse(json.dumps(entry["options"])), baselines.by_name(map(Path, entry["files"]))
        )
        for name, entry in json.loads(arguments.baselines).items()
    }
    tables = {
        name: pd.concat(
            pd.read_parquet(score_path(results, name, seed if name in predictors else 0, shard)).assign(
                shard=shard
            )
            for shard in arguments.shards
        ).set_index("image", drop=False)
        for name in [*predictors, *simple]
    }
    examples = []
    for _, row in chosen(tables[arguments.nets[0]]).iterrows():
        seen = view(results, row["shard"], int(row["frame"]), params.gaze)
        height, width = seen.bgr.shape[:2]
        maps: dict[str, NDArray[np.floating[Any]]] = {}
        for name, (predictor, motion) in predictors.items():
            field = np.zeros_like(seen.flow) if motion == "none" else seen.flow
            maps[name] = predictor(seen.bgr[None], field[None])[0]
        for name, model in simple.items():
            [(_, saliency)] = baseline_maps(model, [(0, seen.bgr)], arguments.size and tuple(arguments.size))
            maps[name] = resize_map(saliency, (width, height))
        scores = {name: float(tables[name].loc[row["image"], "sauc"]) for name in maps}
        examples.append(Example(Path(row["image"]).stem, *seen, maps=maps, scores=scores))
    # Predicted motion is weak where the net is in doubt: full colour is the strongest in this picture.
    bound = max(float(np.hypot(*np.moveaxis(example.flow, -1, 0)).max()) for example in examples)
    save(overview(examples, max(bound, 1e-6), "Predicted motion"), arguments.out)
    with Clip(results / "flow" / f"{arguments.shards[0]}.h5") as clip:
        script.log.info("motion by %s; full colour at %.2f pixels per frame", clip.attrs["estimator"], bound)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results/{ds} of the still images")
    parser.add_argument("--shards", nargs="+", required=True, help="test shards")
    parser.add_argument(
        "--nets", nargs="+", required=True, help="columns; the first one's scores choose the images"
    )
    parser.add_argument(
        "--baselines", default="{}", help='JSON: name -> {"options": {...}, "files": [paths]}'
    )
    parser.add_argument("--size", type=int, nargs=2, help="of the baselines' images; else the clips'")
    parser.add_argument("--seed", type=int, default=0, help="whose weights are shown")
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="pictures; the suffix gives the format"
    )
    script.run(main, parser.parse_args())
