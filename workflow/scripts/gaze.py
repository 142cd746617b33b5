"""Read a video's gaze, keep the valid fixations and map them to the working size, in one parquet file."""

import argparse
from pathlib import Path

from dynsal import script
from dynsal.clips import Clip
from dynsal.datasets import open_dataset
from dynsal.errors import DataError
from dynsal.gaze import clip_to_video, write_gaze


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    params = script.read_params(arguments)
    dataset = open_dataset(params.dataset, arguments.raw)
    with Clip(arguments.frames) as clip:
        decoded = int(clip.attrs["source_frames"])
        size = (int(clip.attrs["source_width"]), int(clip.attrs["source_height"]))
    dataset.verify(arguments.video)
    gaze = dataset.fixations(arguments.video)
    if gaze.source_size != size:
        raise DataError(
            arguments.video,
            f"its gaze refers to {gaze.source_size[0]}x{gaze.source_size[1]} pixels, the video file has "
            f"{size[0]}x{size[1]}",
            "Use the video at its original size",
        )
    gaze = clip_to_video(gaze, decoded)
    px_per_deg = params.gaze.px_per_deg or dataset.px_per_deg
    write_gaze(arguments.out, gaze, params.prepare.size, px_per_deg, arguments.video)
    dropped = ", ".join(f"{count} {reason}" for reason, count in gaze.dropped.items() if count) or "none"
    frames = gaze.table["frame"].nunique()
    script.log.info(
        "%s: %d points on %d of %d frames; rows dropped: %s",
        arguments.video,
        len(gaze.table),
        frames,
        decoded,
        dropped,
    )


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--video", nargs="+", required=True, help="names in the split list")
    parser.add_argument("--raw", type=Path, required=True, help="folder of the downloaded data set")
    parser.add_argument("--frames", type=Path, nargs="+", required=True, help="every video's rescaled clip")
    parser.add_argument("--out", type=Path, nargs="+", required=True, help="a parquet file to write for each")
    script.run(script.each(main, "video", "frames", "out"), parser.parse_args())
