"""The command line: help without heavy imports, every baseline by name, one line for every error."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT, environment

from dynsal import baselines
from dynsal.baselines.base import Frame
from dynsal.cli import COMMANDS, main
from dynsal.commands.predict import BASELINES
from dynsal.maps import MapFile
from dynsal.video import decode, encode


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Write a video of odd-sized noise that drifts, six frames."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (20, 40, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    path = tmp_path_factory.mktemp("cli") / "a clip.mp4"
    encode(path, (noise[:, 2 * i : 2 * i + 200] for i in range(6)), 30)
    return path


@pytest.mark.parametrize("words", [["--help"], ["predict", "--help"]], ids=" ".join)
def test_help_imports_nothing_heavy(words):
    """`dynsal --help` names every command and loads neither numpy nor torch; so does the help of `predict`."""
    code = (
        "import sys\nfrom dynsal.cli import main\n"
        f"try:\n    main({words})\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "heavy = {'numpy', 'torch', 'pandas', 'cv2', 'av', 'h5py', 'matplotlib', 'scipy', 'pydantic', 'tqdm', 'yaml', "
        "'safetensors', 'psutil'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(PYTHONPATH=str(ROOT / "src")),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for name in COMMANDS if words == ["--help"] else BASELINES:
        assert name in done.stdout


def test_the_help_of_predict_lists_the_baselines():
    assert sorted(BASELINES) == sorted(baselines.REGISTRY)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_of_every_command(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert name in shown
    assert len(shown.splitlines()) > 6


@pytest.mark.parametrize(
    "words",
    [
        ["gbvs"], ["gbvs", "--set", "channels=DIOFM"], ["itti"], ["pqft"],
        ["pqft", "--set", "variant=guo", "--set", "tau=2"], ["self_resemblance", "--set", "block=5", "--set", "overlap=1"],
        ["spectral_residual"], ["temporal_spectral"], ["rare_style", "--set", "bins=16"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_predict_is_the_baseline(clip, tmp_path, words):
    """The file holds what the model itself returns for the decoded frames."""
    out = tmp_path / "maps.h5"
    assert main(["predict", "--model", *words, "--out", str(out), str(clip)]) == 0
    from dynsal.model_choice import chosen_options

    options = chosen_options(words[0], words[2::2])
    frames = (Frame(i, t, bgr, True) for i, (t, bgr) in enumerate(decode(clip)) if bgr is not None)
    expected = dict(baselines.create(options, {}).maps(frames))
    file = MapFile(out)
    assert file.size == (200, 160)
    assert file.frames.tolist() == list(expected) == list(range(6))
    for index, saliency in file:
        np.testing.assert_array_equal(saliency, expected[index])
    assert options.model_dump_json() == file.attrs["options"]


def test_icl_takes_its_filters_from_a_mirror(clip, tmp_path, monkeypatch, mirror):
    """Looked for by checksum, kept in the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DYNSAL_MIRROR", str(mirror))
    out = tmp_path / "maps.h5"
    assert main(["predict", str(clip), "--model", "icl", "--out", str(out)]) == 0
    assert (tmp_path / "cache/dynsal/baselines/AW.mat").is_file()
    assert len(MapFile(out)) == 6
    given = tmp_path / "given.h5"
    words = ["--file", str(mirror / "baselines" / "AW.mat"), "--out", str(given)]
    assert main(["predict", str(clip), "--model", "icl", *words]) == 0
    np.testing.assert_array_equal(MapFile(given)[3], MapFile(out)[3])


def test_an_unknown_command_lists_the_known(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["predct"])
    assert stop.value.code == 2
    assert "predict" in capsys.readouterr().err


def test_a_trained_baseline_by_its_name(clip, tmp_path, monkeypatch):
    """With the options it was trained with, which the file of maps names; several of one name must be told apart."""
    from test_rudoy_training import OPTIONS, trained

    from dynsal.baselines.rudoy.forest import save_model

    monkeypatch.chdir(tmp_path)
    one = tmp_path / "results/a/models/rudoy/seed0/model.safetensors"
    save_model(one, trained())
    assert main(["predict", str(clip), "--model", "rudoy", "--out", "maps.h5"]) == 0
    maps = MapFile(tmp_path / "maps.h5")
    assert len(maps) == 6
    assert maps.attrs["options"] == OPTIONS.model_dump_json()
    save_model(tmp_path / "results/b/models/rudoy/seed0/model.safetensors", trained())
    assert main(["predict", str(clip), "--model", "rudoy", "--out", "again.h5"]) == 1
    assert main(["predict", str(clip), "--model", str(one), "--out", "again.h5"]) == 0
    np.testing.assert_array_equal(MapFile(tmp_path / "again.h5")[5], maps[5])


@pytest.mark.parametrize("text", ["channels=[", "tau=2020-01-01", "model=itti", "channels", "=x", "nosuch=1"])
def test_options_that_are_none(clip, text, caplog):
    assert main(["predict", str(clip), "--set", text]) == 1
    assert "--set" in caplog.text
