"""Maps of SALICON's images for its server: of every image by itself, with its number, and nothing half-written."""

from __future__ import annotations

import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from helpers import run_script
from salicon_files import name, sent

from dynsal.baselines.pqft import Pqft, pqft2_map
from dynsal.clips import create, name_frames
from dynsal.config import FlowConfig, NetConfig, StaticFlowConfig
from dynsal.config_baselines import PqftOptions
from dynsal.errors import DataError
from dynsal.evaluation import resize_map
from dynsal.inference import Predictor
from dynsal.nets import build
from dynsal.nets.static_flow import build_static_flow
from dynsal.nets.weights import load_model, save_model
from dynsal.static_prediction import StaticFlow
from dynsal.submission import (
    Maps,
    Pictures,
    baseline_maps,
    image_ids,
    net_maps,
    no_motion,
    pictures,
    still_net,
    submit,
)  # fmt: skip
from dynsal.video import resize

SIZE = (64, 48)
MEMBERS = {part: f"fixations_{part}2014_a-b_results.json" for part in ("val", "test")}
NUMBERS = {"val": [[50, 40], [7]], "test": [[60, 131]]}
"""COCO numbers of the images of every clip."""
PQFT = partial(baseline_maps, Pqft(PqftOptions(), {}))


def clip(path: Path, names: list[str], black: int | None = None) -> Path:
    """Write a clip of coarse noise, one image of it black."""
    rng = np.random.default_rng(len(names))
    with create(path, SIZE, 95) as writer:
        for index in range(max(1, len(names))):
            image = resize(rng.integers(0, 255, (6, 8, 3), np.uint8), SIZE)
            writer.append(index, float(index), image * 0 if index == black else image)
        if names:
            name_frames(writer, names)
    return path


@pytest.fixture
def clips(tmp_path) -> dict[str, list[Path]]:
    folder = tmp_path / "frames"
    return {
        part: [
            clip(folder / f"{part}_{shard:02d}.h5", [name(part, number) for number in numbers])
            for shard, numbers in enumerate(shards)
        ]
        for part, shards in NUMBERS.items()
    }


def eight_bits(saliency: np.ndarray) -> np.ndarray:
    whole = resize_map(saliency, (640, 480)).astype(float)
    return whole * (255 / whole.max())


@pytest.mark.parametrize("size", [None, (32, 40)])
def test_every_image_by_itself(tmp_path, clips, size):
    """PQFT compares frames of a video: here every map is that of a still image, and stands under its own number."""
    out = tmp_path / "new" / "results.zip"
    assert submit(out, "a_b", partial(PQFT, size=size), clips) == 0
    assert [path.name for path in out.parent.iterdir()] == ["results.zip"]
    for part, member in MEMBERS.items():
        found = sent(out, member)
        assert list(found) == [number for shard in NUMBERS[part] for number in shard]
        for number, bgr in pictures(clips[part]):
            wanted = eight_bits(pqft2_map(bgr if size is None else resize(bgr, size)))
            np.testing.assert_allclose(found[number], wanted, atol=0.501)
            assert found[number].dtype == np.uint8


def test_blank_maps_become_uniform_and_are_counted(tmp_path, clips):
    """A model has nothing to say on a black image."""
    clips["test"] = [clip(tmp_path / "black.h5", [name("test", 60), name("test", 61)], black=1)]
    assert submit(tmp_path / "results.zip", "a-b", PQFT, clips) == 1
    found = sent(tmp_path / "results.zip", MEMBERS["test"])
    assert (found[61] == 255).all()
    assert found[60].std() > 0


def test_a_model_that_leaves_an_image_out(tmp_path, clips):
    """Found before the archive is there; nothing is left."""

    def skipping(images: Pictures) -> Maps:
        return (item for item in PQFT(images) if item[0] != 131)

    out = tmp_path / "new" / "results.zip"
    with pytest.raises(DataError, match=r"results\.zip: test: 1 image\(s\) missing: 131"):
        submit(out, "a-b", skipping, clips)
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize("bad", ["", "a b", "a/b", "é"])
def test_names_that_the_server_does_not_take(tmp_path, clips, bad):
    """Known before any map is computed."""
    with pytest.raises(DataError, match="is no name that the server takes"):
        submit(tmp_path / "results.zip", bad, lambda images: pytest.fail("was asked for maps"), clips)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "its frames have no names, so they are no still images"),
        (["1001.jpg"], "'1001.jpg' is no name of a COCO image"),
        ([name("test", 5), name("test", 5)], "image 5 comes twice"),
        ([name("test", 60)], "image 60 comes twice"),
    ],
)
def test_clips_that_cannot_be_sent(tmp_path, clips, names, message):
    """Those of videos, of other data sets, and those given twice."""
    with pytest.raises(DataError, match=rf"strange\.h5: {message}"):
        image_ids([*clips["test"], clip(tmp_path / "strange.h5", names)])


def test_memory_is_that_of_a_few_maps(tmp_path, clips):
    """Eighty maps of 1.2 MiB pass through in less than six of them."""
    clips["val"] = [clip(tmp_path / "long.h5", [name("val", number) for number in range(80)])]

    def ramps(images: Pictures) -> Maps:
        return ((number, np.full((480, 640), number + 1, np.float32)) for number, _ in images)

    tracemalloc.start()
    submit(tmp_path / "results.zip", "a-b", ramps, clips)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 480 * 640 * 4


def net(path: Path, arch: str) -> Path:
    """Write an untrained tiny net with the metadata of a trained one."""
    config = NetConfig(width=0.0625, coding="log_density")
    meta = {
        "arch": arch,
        "net": config.model_dump(mode="json"),
        "flow": FlowConfig().model_dump(mode="json"),
        "size": [32, 24],
    }
    save_model(path, build(arch, config, 3), meta)
    return path


def test_a_spatial_net_by_hand(tmp_path, clips):
    """The script, with a net: its maps of the images at the size that it was trained at."""
    model = net(tmp_path / "model.safetensors", "spatial")
    done = run_script(
        "salicon_submission", "--name", "a-b", "--model", model, "--val", *clips["val"],
        "--test", *clips["test"], "--out", "results.zip", cwd=tmp_path,
    )  # fmt: skip
    assert done.rc == 0, done.stderr
    assert "val: 3 images of 5000: the server takes whole splits" in done.log
    assert "a-b: 0 blank maps sent as uniform" in done.log
    predictor = Predictor(*load_model(model))
    for part, member in MEMBERS.items():
        found = sent(tmp_path / "results.zip", member)
        assert len(found) == sum(map(len, NUMBERS[part]))
        for number, bgr in pictures(clips[part]):
            wanted = eight_bits(predictor(resize(bgr, (32, 24))[None], None)[0])
            np.testing.assert_allclose(found[number], wanted, atol=0.51)


@pytest.mark.parametrize("arch", ["temporal", "late", "early"])
def test_nets_that_look_at_flow_need_a_prediction(tmp_path, arch):
    with pytest.raises(DataError, match=f"is a net of arch {arch}, which looks at optical flow"):
        still_net(net(tmp_path / "model.safetensors", arch))


def test_a_two_stream_net_sees_predicted_motion(tmp_path, clips):
    """Its maps are those of the image with the motion that the other net predicts for it; without motion, with zeros."""
    config = StaticFlowConfig(variant="small", width=0.125)
    book = np.random.default_rng(0).normal(0, 20, (40, 2)).tolist()
    motion_file = tmp_path / "motion.safetensors"
    save_model(
        motion_file,
        build_static_flow(config, 1),
        {"arch": "static_flow", "net": config.model_dump(mode="json"), "codebook": book},
    )
    early = net(tmp_path / "model.safetensors", "early")
    found = still_net(early, motion_file)
    maps = dict(net_maps(found.predictor, pictures(clips["val"]), found.size, found.motion))
    predict = StaticFlow(motion_file)
    for number, bgr in pictures(clips["val"]):
        seen = resize(bgr, (32, 24))
        wanted = found.predictor(seen[None], predict([seen])[0][None])[0]
        np.testing.assert_allclose(maps[number], wanted, rtol=1e-4, atol=1e-9)
        still = found.predictor(seen[None], np.zeros((1, 24, 32, 2), np.float32))[0]
        assert not np.allclose(maps[number], still, rtol=1e-4, atol=1e-9)
    loaded, meta = load_model(early)
    save_model(tmp_path / "still.safetensors", loaded, {**meta, "motion": "none"})
    assert still_net(tmp_path / "still.safetensors").motion is no_motion
