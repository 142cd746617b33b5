"""What all scripts share: parameters in, one clear line out when something is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import yaml

from dynsal import script
from dynsal.config import Config, ConfigError, parse, stage_json

SECTIONS = ("gaze", "train", "prepare", "mirrors", "models")


def arguments(**given: object) -> Namespace:
    return Namespace(**{"params": None, "config": None, "log": None, **given})


def test_params_are_validated_sections():
    config = parse({"gaze": {"sigma_deg": 2.5}, "mirrors": ["there"], "prepare": {"size": [64, 48]}})
    params = script.read_params(arguments(params=stage_json(config, *SECTIONS)))
    for name in SECTIONS:
        assert getattr(params, name) == getattr(config, name), name
    assert params.gaze.sigma_deg == 2.5
    assert params.prepare.size == (64, 48)


def test_params_and_config_give_the_same(tmp_path):
    """By hand, from a YAML file, as from the workflow."""
    values = {"gaze": {"sigma_deg": 0.5}, "seeds": [3, 4], "train": {"max_iters": 7}}
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(values))
    by_hand = script.read_params(arguments(config=file))
    by_workflow = script.read_params(arguments(params=stage_json(parse(values), *Config.model_fields)))
    for name in Config.model_fields:
        assert getattr(by_hand, name) == getattr(by_workflow, name), name
    assert by_hand.train.max_iters == 7
    assert by_hand.seeds == [3, 4]


def test_params_win_over_config(tmp_path):
    found = script.read_params(
        arguments(params='{"gaze": {"sigma_deg": 3}}', config=tmp_path / "absent.yaml")
    )
    assert found.gaze.sigma_deg == 3


def test_missing_keys_take_their_defaults():
    assert script.Params({"gaze": {}}).gaze == Config().gaze


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"gase": {}, "x": 1}', r"unknown section\(s\) gase, x$"),
        ('{"gaze": {"sigma_deg": -1}}', r"section gaze: sigma_deg: .*greater than 0 \(found -1\)"),
        ('{"gaze": {"sigma_deg": "1"}}', r"section gaze: sigma_deg: "),
        ('{"gaze": {"sigma": 1, "px_per_deg": 0}}', r"px_per_deg: .*; sigma: .*not permitted"),
        ('{"gaze": 3}', r"section gaze: "),
        ('{"gaze": null}', r"section gaze: "),
        ('{"mirrors": "there"}', r"section mirrors: "),
        ('{"seeds": ["1"]}', r"section seeds: 0: "),
        ('{"models": {"early": {"arch": "none"}}}', r"section models: early\.arch: "),
        ("{", "not a JSON mapping"),
        ("[]", "not a JSON mapping"),
        ("[1]", "not a JSON mapping"),
        ("null", "not a JSON mapping"),
        ('"gaze"', "not a JSON mapping"),
    ],
)
def test_bad_params_in_one_line(text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        script.read_params(arguments(params=text))
    assert str(caught.value).startswith("--params: ")
    assert "\n" not in str(caught.value)


def test_a_section_that_the_step_was_not_given():
    params = script.Params({"train": {}, "gaze": {}})
    with pytest.raises(ConfigError, match=r"^this step needs the section 'flow'; --params has gaze, train$"):
        _ = params.flow


def test_neither_params_nor_config():
    with pytest.raises(ConfigError, match="give --params JSON or --config FILE"):
        script.read_params(arguments())


def test_config_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read"):
        script.read_params(arguments(config=tmp_path / "absent.yaml"))


BODY = """
import sys
from pathlib import Path
from dynsal import script
from dynsal.config import GazeConfig
from dynsal.errors import DataError

def main(arguments):
    what = arguments.what
    script.log.info("working on %s", what)
    if what == "data":
        raise DataError("clip.h5", "is damaged", "Delete it")
    if what == "config":
        script.read_params(arguments)
    if what == "section":
        GazeConfig.model_validate_json('{"sigma_deg": -1, "other": 2}')
    if what == "bug":
        raise KeyError("frame")
    if what == "full":
        raise OSError(28, "No space left on device", "big.h5")
    if what == "wrapped":
        raise RuntimeError("write failed") from OSError(28, "No space left on device")

parser = script.parser("Try things.")
parser.add_argument("--what")
script.run(main, parser.parse_args())
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("scripts") / "try.py"
    path.write_text(BODY)
    return path


def run(program: Path, folder: Path, *words: str) -> tuple[int, list[str]]:
    """Run the program with a log in a folder that is not there yet; both places say the same."""
    log = folder / "new" / "try.log"
    done = subprocess.run(
        [sys.executable, str(program), *words, "--log", str(log)],
        cwd=folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == ""
    assert log.read_text(encoding="utf-8") == done.stderr
    return done.returncode, done.stderr.splitlines()


def test_a_run_that_succeeds(program, tmp_path):
    code, lines = run(program, tmp_path, "--what", "fine")
    assert code == 0
    assert [line.split(" ", 1)[1] for line in lines] == [
        f"INFO try.py --what fine --log {tmp_path / 'new' / 'try.log'}",
        "INFO working on fine",
    ]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("data", "ERROR clip.h5: is damaged. Delete it"),
        ("config", "ERROR give --params JSON or --config FILE"),
        ("section", "ERROR GazeConfig: sigma_deg: "),
        ("full", "ERROR big.h5: no space left"),
        ("wrapped", "no space left to write it. Free some space"),
    ],
)
def test_expected_errors_take_one_line(program, tmp_path, what, message):
    """And no traceback, which would hide it."""
    code, lines = run(program, tmp_path, "--what", what)
    assert code == 1
    assert len(lines) == 3
    assert " ERROR " in lines[2]
    assert message in lines[2]


def test_an_unexpected_error_tells_where(program, tmp_path):
    code, lines = run(program, tmp_path, "--what", "bug")
    assert code == 1
    text = "\n".join(lines)
    assert "ERROR unexpected error: please report it with this log" in text
    assert "Traceback (most recent call last)" in text
    assert text.endswith("KeyError: 'frame'")


def test_the_log_is_of_the_last_run_and_short(program, tmp_path):
    """A second run replaces it; long arguments are cut."""
    run(program, tmp_path, "--what", "bug")
    code, lines = run(program, tmp_path, "--what", "fine", "--params", json.dumps({"x": "y" * 5000}))
    assert code == 0
    assert len(lines) == 2
    assert "..." in lines[0]
    assert len(lines[0]) < 600
