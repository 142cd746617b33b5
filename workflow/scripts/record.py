"""Copy a finished experiment's tables, provenance and pictures to docs/results/{ds}, and refresh the README.

The README shows the demo's table and picture between two marker lines; a test compares them with docs/results/demo.
"""

import argparse
import re
import shutil
from pathlib import Path

import cv2

from dynsal import script
from dynsal.errors import DataError
from dynsal.fileio import write_text

FILES = {
    1: (
        "table1.csv",
        "table1.md",
        "table1_differences.csv",
        "table1_per_video.csv",
        "table1_provenance.json",
        "costs.csv",
        "roc.csv",
        "figures/figure1_streams.png",
        "figures/figure2_fusion.png",
        "figures/figure3_flow.png",
        "figures/figure4_nets.png",
        "figures/scores.png",
        "figures/per_video.png",
        "figures/over_time.png",
        "figures/curves.png",
        "figures/roc.png",
        "figures/agreement.png",
    ),
    2: (
        "table2.csv",
        "table2.md",
        "table2_against_best.csv",
        "table2_differences.csv",
        "table2_per_video.csv",
        "table2_provenance.json",
        "timings.csv",
        "net_timings.csv",
        "figures/speed.png",
        "figures/figure5_baselines.png",
    ),
    3: (
        "table3.csv",
        "table3.md",
        "table3_ablation.csv",
        "table3_differences.csv",
        "table3_per_image.csv",
        "table3_provenance.json",
        "figures/figure6_predicted_motion.png",
        "figures/figure7_stills.png",
    ),
}
"""Number of a table and what belongs to it."""
MOTION = (
    "static_flow.csv",
    "static_flow_differences.csv",
    "static_flow_per_video.csv",
    "figures/motion.png",
)
"""What belongs to Table 3 and lies with the videos that the nets come from."""
AS_JPEG = tuple(
    f"figures/{name}.png"
    for name in ("figure3_flow", "figure5_baselines", "figure6_predicted_motion", "figure7_stills", "motion")
)
BLOCK = re.compile(r"(<!-- demo table -->\n).*?(<!-- end -->)", re.DOTALL)


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    files = [(arguments.results, name) for table in arguments.tables for name in FILES[table]]
    files += [(arguments.motion, name) for name in MOTION if arguments.motion]
    for folder, name in files:
        source, target = folder / name, arguments.out / name
        if not source.is_file():
            raise DataError(
                source,
                "no such result",
                "Run `snakemake --cores all all table2 figures2 table3 figures3` with the same configuration first",
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        if name in AS_JPEG:  # photographs side by side: a tenth of the PNG
            picture = cv2.imread(str(source))
            if picture is None:
                raise DataError(source, "is no picture", "Delete it and run the same command again")
            cv2.imwrite(str(target.with_suffix(".jpg")), picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
        else:
            shutil.copyfile(source, target)
    if arguments.readme:
        table = (arguments.results / "table1.md").read_text(encoding="utf-8")
        text = arguments.readme.read_text(encoding="utf-8")
        write_text(arguments.readme, BLOCK.sub(lambda found: f"{found[1]}\n{table}\n{found[2]}", text))
    script.log.info("recorded %s in %s", arguments.results, arguments.out)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results/{ds}")
    parser.add_argument("--out", type=Path, required=True, help="docs/results/{ds}")
    parser.add_argument("--tables", type=int, nargs="+", choices=sorted(FILES), default=[1, 2])
    parser.add_argument(
        "--motion", type=Path, help="results/{ds} of the videos, for Table 3's predicted motion"
    )
    parser.add_argument("--readme", type=Path, help="also refresh the table in this file")
    script.run(main, parser.parse_args())
