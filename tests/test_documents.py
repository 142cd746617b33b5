"""The documents say what the committed results say."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from snakemake.cli import parse_args

from dynsal import layout

ROOT = Path(__file__).resolve().parents[1]


def test_readme_shows_the_recorded_demo_table():
    """`make record` was run after the last change of the demo's results."""
    table = (ROOT / "docs/results/demo/table1.md").read_text()
    assert table in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("name", ["demo", "hevc33"])
def test_recorded_results_belong_together(name, number):
    """Table, per-video scores and provenance of a record are of one run."""
    folder = ROOT / "docs/results" / name
    table = pd.read_csv(folder / f"table{number}.csv").set_index("model")
    videos = pd.read_csv(folder / f"table{number}_per_video.csv")
    provenance = json.loads((folder / f"table{number}_provenance.json").read_text())
    assert set(videos["video"]) == set(provenance["videos"]["test"])
    means = videos.groupby(["model", "video"])["sauc"].mean().groupby("model").mean()
    pd.testing.assert_series_equal(
        means.sort_index(), table["sauc"].sort_index(), check_names=False, atol=1e-5, rtol=0
    )
    assert provenance["config"]["dataset"]["name"] == name


@pytest.mark.parametrize("name", ["demo", "hevc33"])
def test_recorded_differences_to_the_best_baseline(name):
    """The best is the best of the table, and the difference that of the means."""
    folder = ROOT / "docs/results" / name
    table = pd.read_csv(folder / "table2.csv").set_index("model")
    best = pd.read_csv(folder / "table2_against_best.csv")
    baselines = table[table["kind"] == "baseline"]
    for row in best.itertuples():
        lower = row.metric in ("chi2", "kld")
        assert row.best_baseline == (
            baselines[row.metric].idxmin() if lower else baselines[row.metric].idxmax()
        )
        means = table.loc[row.model, row.metric] - table.loc[row.best_baseline, row.metric]
        assert row.difference == pytest.approx(means, abs=3e-6, nan_ok=True)


def test_recorded_table3():
    """Table, scores per image and provenance are of one run; the ablation is the difference of the rows."""
    folder = ROOT / "docs/results/osie"
    table = pd.read_csv(folder / "table3.csv").set_index("model")
    images = pd.read_csv(folder / "table3_per_image.csv")
    provenance = json.loads((folder / "table3_provenance.json").read_text())
    assert images["image"].nunique() == table.loc["early", "n_images"] == 140
    means = images.groupby(["model", "image"])["sauc"].mean().groupby("model").mean()
    for model in provenance["rows"]:
        assert table.loc[model, "sauc"] == pytest.approx(means[model], abs=1e-5)
        assert table.loc[model, "seeds"] == len(provenance["rows"][model])
    ablation = pd.read_csv(folder / "table3_ablation.csv")
    for row in ablation[ablation["metric"] == "sauc"].itertuples():
        assert row.difference == pytest.approx(means["early"] - means[row.reference], abs=1e-5)
    assert provenance["config"]["transfer"]["dataset"]["name"] == "osie"
    said = (folder / "table3.md").read_text()
    assert all(text in said for text in provenance["verdicts"].values())


def test_links_of_the_documents_exist():
    """No dead relative link in any Markdown file."""
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks/README.md"]:
        for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_weights_are_described_as_registered():
    """Sizes and licences stand in the document and in the registry."""
    text = (ROOT / "docs/weights.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|.*\| about (\d+) MB \| (.*) \|$", text, re.MULTILINE)
    assert {name: file for name, file, *_ in rows} == layout.PUBLISHED_WEIGHTS
    for _, file, megabytes, licence in rows:
        registered = layout.registry_row("weights", file)
        assert (int(megabytes) * 10**6, licence) == (registered.expected, registered.licence)


def commands():
    """Return every Snakemake command line of the documents."""
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]:
        text = document.read_text()
        fenced = re.findall(r"^(snakemake [^#\n]*)", text, re.MULTILINE)
        inline = re.findall(r"`(snakemake [^`\n]*)`", text)
        yield from ((document.name, line.strip()) for line in fenced + inline)


@pytest.mark.parametrize(("document", "line"), sorted(set(commands())))
def test_documented_commands_mean_what_they_say(document, line):
    """Options that take several values swallow targets unless `--` stands between."""
    words = shlex.split(line)
    _, arguments = parse_args(words[1:])
    # A cluster's profile says how many jobs there may be.
    counted = arguments.cores or arguments.workflow_profile
    assert counted or arguments.dryrun, f"{document}: Snakemake refuses to run without --cores"
    report = [words[words.index("--report") + 1]] if "--report" in words else []
    for target in [word for word in words if word.startswith("results/") and word not in report]:
        assert target in arguments.targets, document
    for path in [path for path in arguments.configfile or [] if "<" not in str(path)]:
        assert (ROOT / path).is_file(), document
