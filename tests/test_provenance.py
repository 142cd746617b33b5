"""What ran where: the commit as git tells it, costs as Snakemake wrote them."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dynsal import provenance

git_only = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture(autouse=True)
def _no_outer_checkout(monkeypatch, tmp_path):
    """Neither a checkout above the temporary folder nor a hook's environment may answer."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "code.py").write_text("x = 1\n")
    git(folder, "add", "code.py")
    git(folder, "commit", "-qm", "first")
    return folder


@git_only
def test_commit_of_a_clean_checkout(repository):
    found = provenance.commit(repository)
    assert re.fullmatch("[0-9a-f]{40}", found["commit"])
    assert found == {"commit": git(repository, "rev-parse", "HEAD"), "dirty": False}


@git_only
def test_dirty_means_that_tracked_files_differ(repository):
    """Results beside the code are no change of it; an edit is, staged or not."""
    (repository / "result.csv").write_text("1\n")
    assert provenance.commit(repository)["dirty"] is False
    (repository / "code.py").write_text("x = 2\n")
    assert provenance.commit(repository)["dirty"] is True
    git(repository, "add", "code.py")
    assert provenance.commit(repository)["dirty"] is True
    git(repository, "commit", "-qm", "second")
    assert provenance.commit(repository) == {"commit": git(repository, "rev-parse", "HEAD"), "dirty": False}
    (repository / "code.py").unlink()
    assert provenance.commit(repository)["dirty"] is True


@git_only
def test_commit_before_the_first(tmp_path):
    git(tmp_path, "init", "-q", "new")
    assert provenance.commit(tmp_path / "new") == {"commit": None, "dirty": False}


def test_outside_a_checkout(tmp_path):
    (tmp_path / "plain").mkdir()
    assert provenance.commit(tmp_path / "plain") == {"commit": None, "dirty": None}


def test_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.commit(tmp_path) == {"commit": None, "dirty": None}


def test_versions_of_what_changes_numbers():
    import cv2
    import numpy
    import torch

    found = provenance.versions()
    assert found["python"] == platform.python_version()
    assert found["numpy"] == numpy.__version__
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["opencv-contrib-python-headless"].startswith(cv2.__version__)
    assert {"dynsal", "av", "h5py", "pandas", "scipy", "snakemake", "pydantic", "pyarrow"} <= set(found)
    assert "not installed" not in found.values()


def test_hardware():
    found = provenance.hardware()
    assert found["processor"]
    assert 1 <= found["cores"] <= os.cpu_count()
    assert found["memory_gib"] > 0.1
    assert found["system"].startswith(platform.system())


def test_the_record_can_be_written(tmp_path):
    """As JSON, with all its parts, and without the name of the machine or a folder of it."""
    record = provenance.record(tmp_path)
    assert set(record) == {"commit", "dirty", "packages", "hardware"}
    text = json.dumps(record)
    assert platform.node() not in text or len(platform.node()) < 4
    assert str(Path.home()) not in text


HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def benchmark(path: Path, *lines: tuple[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{s}\t0:00:01\t{rss}\t9\t9\t9\t0.0\t0.0\t50.0\t1.0\n" for s, rss in lines]
    path.write_text(HEAD + "".join(rows))


def test_costs_by_hand(tmp_path):
    """Sums, maxima, and what could not be measured ('-' or NA) left out of them."""
    benchmark(tmp_path / "flow" / "a.tsv", ("1.25", "100.4"))
    benchmark(tmp_path / "flow" / "b.tsv", ("10.5", "-"))
    benchmark(tmp_path / "flow" / "c.tsv", ("2.0", "NA"))
    benchmark(tmp_path / "train" / "early.seed0.tsv", ("60.0", "900.6"))
    benchmark(tmp_path / "train" / "early" / "seed1.tsv", ("30.0", "800"))
    benchmark(tmp_path / "demo" / "x.tsv", ("0.1", "-"), ("0.2", "-"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "readme.txt").write_text("no step")
    found = provenance.costs(tmp_path).set_index("step")
    assert found.index.tolist() == ["demo", "flow", "train"]
    assert found["jobs"].to_dict() == {"demo": 2, "flow": 3, "train": 2}
    assert found["wall_s"].to_dict() == pytest.approx({"demo": 0.3, "flow": 13.8, "train": 90.0})
    assert found["longest_s"].to_dict() == pytest.approx({"demo": 0.2, "flow": 10.5, "train": 60.0})
    assert found.loc["flow", "peak_mib"] == 100
    assert found.loc["train", "peak_mib"] == 901
    assert np.isnan(found.loc["demo", "peak_mib"])


@pytest.mark.parametrize("name", ["absent", "."])
def test_costs_of_nothing(tmp_path, name):
    """No benchmark yet is an empty table with its columns, not an error."""
    found = provenance.costs(tmp_path / name)
    assert list(found.columns) == ["step", "jobs", "wall_s", "longest_s", "peak_mib"]
    assert found.empty
