"""Draw a row of flow images of one test video below its frames.

The video is the median one by the mean sAUC of a model, the frames are the middles of fifths of the video.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from dynsal import script
from dynsal.clips import Clip
from dynsal.figures import flow_colours, label, save
from dynsal.figures.choice import by_mean
from dynsal.figures.grids import Panel, panel_grid
from dynsal.figures.pictures import common_bound
from dynsal.figures.style import short_name
from dynsal.tables import load_scores

COUNT = 5


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    results = arguments.results
    videos = by_mean(load_scores(results, {arguments.ranked_by: [arguments.seed]}, arguments.videos))
    video = videos[len(videos) // 2]
    with Clip(results / "frames" / f"{video}.h5") as frames, Clip(results / "flow" / f"{video}.h5") as flow:
        places = [int((part + 0.5) * len(frames) / COUNT) for part in range(COUNT)]
        bgr = [frames.bgr(place) for place in places]
        fields = [flow.flow(place).astype(np.float32) for place in places]
        titles = [f"frame {frames.frames[place]}" for place in places]
    bound = common_bound(fields)
    above = [Panel(image[..., ::-1], title=title) for image, title in zip(bgr, titles, strict=True)]
    below = [Panel(flow_colours(field, bound)) for field in fields]
    below[0] = replace(below[0], wheel=True)
    note = (
        f"{short_name(video)}: the median of {len(videos)} test videos by the mean sAUC of {label(arguments.ranked_by)}; frames "
        f"from the middles of its fifths. Flow: hue is direction (wheel), colour is full at {bound:.2g} pixels a frame, which "
        "99 % of the pixels stay below."
    )
    save(panel_grid([above, below], ["Frame", "Optical flow"], None, note), arguments.out)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results/{ds}")
    parser.add_argument("--videos", nargs="+", required=True, help="test videos")
    parser.add_argument("--ranked-by", required=True, help="model whose scores choose the video")
    parser.add_argument("--seed", type=int, default=0, help="of that model")
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="pictures; the suffix gives the format"
    )
    script.run(main, parser.parse_args())
