"""What the searches and cross-validations in benchmarks/ are made of: folds, overlays, viewers drawn anew, tables."""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import ROOT

from dynsal.config import TableConfig, load
from dynsal.gaze import Gaze, density, fixation_counts, read_gaze, sort_table, write_gaze
from dynsal.workflow import Plan

sys.path.append(str(ROOT / "benchmarks"))
import folds as folding
import kfold_table
import lite_ablation
import lite_material
import trials

HEVC33 = ROOT / "config/hevc33.yaml"


@pytest.mark.parametrize("count", [4, 5])
@pytest.mark.parametrize("which", ["train", "videos"])
def test_folds(count, which):
    """Every video once, relatives together, no fold more than one group larger than another."""
    videos = getattr(Plan(load(HEVC33)), which)
    parts = folding.folds(videos, count)
    assert sorted(video for part in parts for video in part) == sorted(videos)
    for group in folding.RELATIVES:
        assert sum(bool(set(group) & set(part)) for part in parts) <= 1
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_relatives_are_videos_of_the_set():
    named = Counter(video for group in folding.RELATIVES for video in group)
    assert set(named) <= set(Plan(load(HEVC33)).videos)
    assert set(named.values()) == {1}


def test_overlays():
    """Laid over the first file key by key, and valid; overrides come last."""
    values = trials.read([HEVC33, ROOT / "benchmarks/paper_nets.yaml", ROOT / "benchmarks/large.yaml"])
    config = trials.override(values, ["models.early_aug_paper.train.base_lr=0.5", "flow.bound=3"])
    base = load(HEVC33)
    assert {name: config.models[name] for name in base.models} == base.models
    assert config.flow.estimator == base.flow.estimator
    assert (config.prepare.size, config.flow.bound) == ((320, 192), 3.0)
    _, recipe = config.of_model("early_aug_paper")
    assert (recipe.loss, recipe.optimizer, recipe.base_lr) == ("euclidean", "sgd", 0.5)
    assert trials.read([HEVC33]) == trials.yaml.safe_load(HEVC33.read_text())
    assert Plan(config).initial_weights("early_aug_lite_recipe_stills", 2) == [
        "results/osie/models/early_stills/seed2/model.safetensors"
    ]


SIZE, SIGMA = (32, 16), (3.0, 2.0)
LOOKS = {0: ["a", "b", "c", "c"], 3: ["b"], 7: ["c", "a"]}
"""Frame -> whose its points are."""


@pytest.fixture
def looked(tmp_path):
    """Return frames with gaze as `lite_material` keeps them, and the file it comes from."""
    rows = [(frame, who) for frame, viewers in LOOKS.items() for who in viewers]
    rng = np.random.default_rng(0)
    frame, who = (np.array(column) for column in zip(*rows, strict=True))
    table = sort_table(frame, who, rng.uniform(0, 63, len(rows)), rng.uniform(0, 31, len(rows)))
    write_gaze(tmp_path / "v.parquet", Gaze(table, {}, 9, (64, 32)), SIZE, 6.0, "v")
    file = read_gaze(tmp_path / "v.parquet")
    items = [{"density": torch.zeros(1, 16, 32), "fixations": torch.zeros(1, 16, 32)} for _ in LOOKS]
    reference = type("Reference", (), {"frames": np.array([*LOOKS]), "size": SIZE, "sigma": SIGMA})()
    return lite_material.with_viewers(items, file, reference, 5), file


def stacked(items):
    return {name: torch.stack([item[name] for item in items]) for name in items[0]}


def test_all_viewers_drawn_are_the_target(looked):
    items, file = looked
    batch = lite_material.resampled(stacked(items), 1.0)
    for number, frame in enumerate(LOOKS):
        expected = density(file.points[frame], SIZE, SIGMA)
        np.testing.assert_allclose(batch["density"][number, 0], expected, rtol=1e-5)
        np.testing.assert_array_equal(
            batch["fixations"][number, 0], fixation_counts(file.points[frame], SIZE)
        )


def test_a_share_of_the_viewers_is_drawn(looked):
    """Whole viewers with all their points; one at least; another draw, another choice."""
    items, _ = looked
    seen = Counter()
    torch.manual_seed(0)
    for _ in range(60):
        batch = lite_material.resampled(stacked(items), 0.34)
        assert batch["fixations"].shape == batch["density"].shape == (3, 1, 16, 32)
        seen[int(batch["fixations"][0].sum())] += 1
        assert int(batch["fixations"][1].sum()) == 1
        assert int(batch["fixations"][2].sum()) == 1
    # One of three viewers: a and b looked once, c twice.
    assert set(seen) == {1, 2}
    assert seen[1] > seen[2] > 5
    two = lite_material.resampled(stacked(items), 0.67)["fixations"][0].sum()
    assert int(two) in {2, 3}


def scores(candidate: str, values: dict[str, float], half_life: float = 0.1, seed: int = 0) -> pd.DataFrame:
    rows = [
        {"candidate": candidate, "seed": seed, "half_life": half_life, "video": video, **dict.fromkeys(folding.METRICS, value)}
        for video, value in values.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_ablation_names_pairs_and_signs():
    """What differs from the first candidate names a row; differences are paired over videos, first minus other."""
    whole = {"u": 0.6, "v": 0.8, "w": 0.7}
    table = pd.concat(
        [
            scores("zoom=2 stills=300", whole),
            scores("zoom=2 stills=300", whole, half_life=0.5),
            scores("models.lite.net.lite.prior=false zoom=2 stills=300", {v: x - 0.1 for v, x in whole.items()}),
            scores("zoom=1 inputs=large stills=300", whole),
            scores("zoom=2", {"u": 0.8, "v": 0.7, "w": 0.75}),
            scores("zoom=2 stills=300", whole),  # again, from another file
        ]
    )  # fmt: skip
    named = lite_ablation.variants(table, 0.1)
    prior = "models.lite.net.lite.prior=false"
    assert Counter(named["model"]) == dict.fromkeys(
        ["whole", "memory=0.5", prior, "without stills=300", "inputs=large, zoom=1"], 3
    )
    kinds = pd.Series({"u": "faces", "v": "faces", "w": "screen content"})
    found = kfold_table.by_kind(named, "whole", kinds, TableConfig())
    one = found[(found["metric"] == "sauc") & (found["kind"] == "faces")].set_index("minus")
    assert one.loc[prior, "difference"] == pytest.approx(0.1)
    assert one.loc["without stills=300", "difference"] == pytest.approx(-0.05)
    assert (one["n_videos"] == 2).all()
    lines = lite_ablation.summary(found).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:6]] == [
        "| without stills=300",
        "| inputs=large, zoom=1",
        "| memory=0.5",
        "| prior=false",
    ]
    assert "**-0.100 [-0.100, -0.100]**" in lines[5]
    assert "**" not in lines[2]
