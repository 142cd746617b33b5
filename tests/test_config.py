"""Configuration: typed, complete, in step with its generated documents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dynsal.config import Config, ConfigError, load, parse, stage_json
from dynsal.config_docs import json_schema, reference

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ["config", "hevc33", "diem", "folder"])
def test_profiles_are_valid(name):
    """Every shipped profile parses."""
    assert load(ROOT / f"config/{name}.yaml").models


def test_generated_documents_are_in_step():
    """`make docs` was run after the last change of the model."""
    schema = json.loads((ROOT / "workflow/schemas/config.schema.json").read_text())
    assert "make docs" in schema.pop("$comment")
    assert schema == json_schema()
    assert (ROOT / "config/README.md").read_text() == reference()


def test_diem_is_the_paper():
    """Section 3.5 of the paper, key by key."""
    config = load(ROOT / "config/diem.yaml")
    assert config.prepare.size == (640, 480)
    assert config.flow.estimator == "deepflow"
    assert config.net.width == 1
    assert config.train.loss == "euclidean"
    assert (config.train.optimizer, config.train.momentum, config.train.weight_decay) == ("sgd", 0.9, 5e-4)
    assert (config.train.batch_size, config.train.max_iters) == (2, 200_000)
    assert (config.train.schedule, config.train.lr_step_iters, config.train.lr_gamma) == ("step", 10_000, 0.1)
    assert config.models["early_aug"].augment == [1, 2, 4]


def test_all_errors_at_once():
    """Four mistakes, four lines with their paths; a text that looks like a number is one of them."""
    with pytest.raises(ConfigError) as caught:
        parse(
            {
                "train": {"lr": 1.0, "base_lr": "1e-3"},
                "flow": {"estimator": "raft"},
                "prepare": {"size": [641, 480]},
            }
        )
    text = str(caught.value)
    assert "4 error(s)" in text
    for part in ("train.lr", "train.base_lr", "flow.estimator", "use [640, 480]"):
        assert part in text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"net": {"coding": "log_density"}}, "does not go with"),
        ({"train": {"keep": "best"}}, "needs dataset.validation"),
        ({"seeds": [1, 1]}, "repeats"),
        ({"prepare": {"size": [40, 40]}}, "no multiple of 4"),
        ({"models": {"human": {"arch": "early"}}}, "taken by a floor"),
        ({"models": {"Early": {"arch": "early"}}}, "models"),
        ({"seeds": []}, "seeds"),
    ],
)
def test_contradictions_are_refused(values, message):
    """Values that are fine alone but not together."""
    with pytest.raises(ConfigError, match=message):
        parse(values)


def test_a_models_own_keys_hold_for_it_alone():
    """The others keep the shared sections, and their entries in JSON stay as they were without such keys."""
    own = {"net": {"width": 0.5, "lite": {"dropout": 0.1}}, "train": {"base_lr": 1e-3, "flip": True}}
    config = parse(
        {
            "net": {"coding": "log_density", "width": 0.25},
            "train": {"loss": "kld", "max_iters": 7},
            "models": {"lite": {"arch": "lite", "memory": 0.2, **own}, "early": {"arch": "early"}},
        }
    )
    net, train = config.of_model("lite")
    assert (net.width, net.coding, net.lite.dropout, net.lite.backbone) == (0.5, "log_density", 0.1, "frozen")
    assert (train.base_lr, train.flip, train.max_iters, train.loss) == (1e-3, True, 7, "kld")
    assert config.of_model("early") == (config.net, config.train)
    assert config.models["early"].model_dump_json() == '{"arch":"early","augment":[1]}'
    assert "lite" not in config.net.model_dump()
    assert "flip" not in config.train.model_dump()
    assert parse(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"train": {"lr": 1.0}}, r"models\.lite: lr"),
        ({"train": {"base_lr": "1e-3"}}, r"models\.lite: base_lr"),
        ({"net": {"lite": {"backbone": "melted"}}}, r"models\.lite: lite\.backbone"),
        ({}, r"models\.lite: arch lite gives logarithms"),
        ({"train": {"loss": "kld"}}, r"models\.lite: train\.loss kld does not go with net\.coding salnet"),
    ],
)
def test_wrong_own_keys_are_refused(own, message):
    """With the model's name."""
    with pytest.raises(ConfigError, match=message):
        parse({"models": {"lite": {"arch": "lite", **own}}})


STILL = {"plain": {"arch": "spatial"}, "moved": {"arch": "spatial", "start": "video"}}


@pytest.mark.parametrize(
    ("start", "arch", "message"),
    [
        ("nobody", "spatial", r"models\.x\.start: there is no nobody in section transfer\.models"),
        ("plain", "early", r"models\.x\.start: plain is of arch spatial, not early"),
        (
            "moved",
            "spatial",
            r"models\.x\.start: moved must be trained on still images, and not start from videos",
        ),
        ("plain", "spatial", None),
    ],
)
def test_a_model_may_start_from_still_images(start, arch, message):
    """But not from a net that starts from videos itself: each would wait for the other."""
    given = {
        "models": {"video": {"arch": "spatial"}, "x": {"arch": arch, "start": start}},
        "transfer": {"models": STILL},
    }
    if message is None:
        assert parse(given).models["x"].start == "plain"
        return
    with pytest.raises(ConfigError, match=message):
        parse(given)
    with pytest.raises(ConfigError, match=r"models\.x\.start: there is no"):
        parse({"models": given["models"]})


def test_unreadable_file(tmp_path):
    """A missing file, broken YAML and a list each name the file."""
    (tmp_path / "broken.yaml").write_text("a: [1,")
    (tmp_path / "list.yaml").write_text("- 1")
    for name in ("missing", "broken", "list"):
        with pytest.raises(ConfigError, match=f"{name}.yaml"):
            load(tmp_path / f"{name}.yaml")


def test_stage_json_ignores_order_and_other_sections():
    """The same values in another order, or a change elsewhere, give the same string."""
    first = parse({"flow": {"bound": 5.0, "estimator": "dis"}, "seeds": [1]})
    second = parse({"seeds": [2], "flow": {"estimator": "dis", "bound": 5.0}})
    assert stage_json(first, "flow") == stage_json(second, "flow")
    assert stage_json(first, "flow") != stage_json(parse({}), "flow")


def test_every_key_is_described():
    """Nobody has to read the source to learn what a key means."""
    for section in Config.model_fields.values():
        fields = getattr(section.annotation, "model_fields", None)
        for key, field in (fields or {}).items():
            assert field.description, key
