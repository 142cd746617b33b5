"""Several videos in one job: the same work as one job per video, and the same files, byte for byte."""

from __future__ import annotations

import argparse
import logging
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
import yaml
from helpers import ROOT, TINY, copy_checkout, snakemake
from own_folder import make_folder
from test_workflow import count, here, models, outputs, planned  # noqa: F401  # `here` is a fixture

from dynsal import layout, provenance, script, workflow
from dynsal.config import ConfigError, parse, stage_json
from dynsal.job_batches import batches

STEPS = ("rescale", "gaze", "flow", "augment")


def step_of(job) -> str:
    return job.rule.name.split("_batch")[0]


def options(job) -> Counter:
    """Return how often each word is given to each option of a job's command, but for its log and its share of cores."""
    found, option = Counter(), ""
    for word in shlex.split(job.shellcmd):
        option = word if word.startswith("--") else option
        if option and word != option and option not in ("--log", "--processes"):
            found[option, word] += 1
    return found


def test_the_same_work_in_fewer_jobs(here):  # noqa: F811
    """Every batch reads, writes and is told what the jobs of its videos are together; the rest of the plan is the same."""
    single, together = planned(here), planned(here, prepare={"batch": 4})
    assert {str(path) for job in single for path in job.output} == {
        str(path) for job in together for path in job.output
    }
    assert count(job for job in single if job.rule.name not in STEPS) == count(
        job for job in together if step_of(job) not in STEPS
    )
    maker = {str(path): job for job in single for path in job.output}
    shared = [job for job in together if step_of(job) in STEPS]
    # 18 videos, four at a time; the two last in the split list are test videos, which have no copies.
    assert Counter(map(step_of, shared))["rescale"] == 5
    assert not [job for job in together if job.rule.name in STEPS]
    for job in shared:
        parts = {id(maker[path]): maker[path] for path in map(str, job.output)}.values()
        assert {part.rule.name for part in parts} == {step_of(job)}
        assert set(map(str, job.input)) == {str(path) for part in parts for path in part.input}
        words = options(job)
        assert set(words) == {key for part in parts for key in options(part)}
        for option in ("--video", "--frames", "--out"):
            given = [word for name, word in words.elements() if name == option]
            expected = [word for part in parts for name, word in options(part).elements() if name == option]
            assert given == expected, "in one order"
        assert (len(job.log), bool(job.benchmark)) == (1, True)
    assert len({str(job.benchmark) for job in shared}) == len(shared)


def test_batches_follow_the_split_list():
    """Whatever the roles and `only`, so that another choice of videos moves none; copies are of training videos alone."""
    listed = list(layout.split("demo"))
    train, test = (
        [video for video, role in layout.split("demo").items() if role == wanted]
        for wanted in ("train", "test")
    )
    held_out = train[:2]

    def found(**dataset):
        plan = workflow.Plan(parse({"prepare": {"batch": 5}, "dataset": dataset}))
        return plan, list(batches(plan))

    plan, plain = found()
    _, other = found(validation=held_out)
    assert [path for one in plain if one.step == "flow" for path in one.outputs] == plan.paths("flow", listed)
    for step in ("rescale", "gaze", "flow"):
        assert [one for one in plain if one.step == step] == [one for one in other if one.step == step]
    # Of some videos only: the batches that they would be in, by the same numbers.
    _, few = found(only=[*listed[5:10], listed[12], *train[:1], *test[:2]])
    whole = {(one.step, one.number): one.outputs for one in plain}
    assert [one.outputs for one in few if one.step == "flow" and one.number == 2] == [whole["flow", 2]]
    assert all(set(one.outputs) <= set(whole[one.step, one.number]) for one in few)
    copied = {Path(path).stem for one in other if one.step == "augment" for path in one.outputs}
    assert copied == set(plan.train) - set(held_out)


@pytest.mark.parametrize("values", [{}, {"prepare": {"batch": 1}}])
def test_none_by_default(values):
    assert not list(batches(workflow.Plan(parse(values))))


def test_still_images_and_their_videos(here):  # noqa: F811
    """Shards hold hundreds of images and stay a job each, beside batches of videos."""
    jobs = planned(here, targets=["results/table3.csv"], prepare={"batch": 9})
    found = count(jobs)
    assert (found["rescale"], found["gaze"], found["predict_flow"]) == (4, 4, 4)
    assert {str(path).split("/")[1] for path in outputs(jobs, "rescale")} == {"demo_stills"}
    assert found["rescale_batch0001"] == found["rescale_batch0002"] == 1
    stills = parse({"dataset": {"name": "osie", "split": "osie"}, "prepare": {"batch": 9}})
    assert not list(batches(workflow.Plan(stills)))


def test_no_step_depends_on_the_batch():
    """Another number of videos per job computes nothing anew beyond these steps, above all no training."""
    one, many = parse({}), parse({"prepare": {"batch": 7}})
    assert many.prepare.batch == 7
    assert stage_json(one, "prepare") == stage_json(many, "prepare")
    assert workflow.Plan(one).training_params("early", 0) == workflow.Plan(many).training_params("early", 0)
    with pytest.raises(ConfigError, match=r"prepare\.batch"):
        parse({"prepare": {"batch": 0}})


def test_only_needed_batches(here):  # noqa: F811
    """One file asks for its batch; an unknown name has no rule."""
    listed = list(layout.split("demo"))
    jobs = planned(here, targets=[f"results/demo/gaze/{listed[4]}.parquet"], prepare={"batch": 3})
    assert count(jobs) == {"demo": 3, "rescale_batch0002": 1, "gaze_batch0002": 1}
    for batch, told in ((3, "MissingRuleException"), (1, "demo has no video nosuch")):
        (here / "mine.yaml").write_text(f"prepare: {{batch: {batch}}}\n")
        words = ("-n", "--snakefile", ROOT / "Snakefile", "--configfile", "mine.yaml")
        done = snakemake(here, *words, "--", "results/demo/flow/nosuch.h5")
        assert done.rc == 1
        assert told in done.text


# ---- scripts --------------------------------------------------------------------------------------------------------


def test_each_video_gets_its_own(caplog):
    """One of each list at a time; the log names the video that failed, if there are several."""
    seen = []

    def work(arguments):
        seen.append((arguments.video, arguments.out, arguments.raw))
        if arguments.video == "b":
            raise ConfigError("wrong")

    every = script.each(work, "video", "out")
    every(argparse.Namespace(video=["a", "c"], out=[1, 2], raw="r"))
    assert seen == [("a", 1, "r"), ("c", 2, "r")]
    with pytest.raises(ConfigError, match="wrong"):
        every(argparse.Namespace(video=["b"], out=[1], raw="r"))
    assert not caplog.messages
    with caplog.at_level(logging.WARNING), pytest.raises(ConfigError, match="wrong"):
        every(argparse.Namespace(video=["a", "b", "c"], out=[1, 2, 3], raw="r"))
    assert caplog.messages == ["stopped at b, number 2 of 3"]
    with pytest.raises(ConfigError, match="2 of --video, 1 of --out"):
        every(argparse.Namespace(video=["a", "b"], out=[1], raw="r"))


# ---- through Snakemake ----------------------------------------------------------------------------------------------

CHAIN = {**TINY, "prepare": {"size": [32, 32]}, "models": models({"x": [1, 2, 4]})}
MADE = ("frames", "gaze", "flow", "augmented")


def run(checkout: Path, folder: Path, batch: int, *words: object):
    """Make everything that the steps make of a folder of videos."""
    values = {
        **CHAIN,
        "dataset": {"name": "folder", "folder": str(folder), "label": "own"},
        "prepare": {**CHAIN["prepare"], "batch": batch},
    }
    (checkout / "own.yaml").write_text(yaml.safe_dump(values))
    copies = [f"results/own/augmented/x2/{video}.h5" for video in ("my clip", "b")]
    return snakemake(
        checkout, "--cores", 1, "--configfile", "own.yaml", *words, "--", "data", "flows", *copies
    )


def made(checkout: Path) -> dict[str, bytes]:
    results = checkout / "results" / "own"
    return {
        str(path.relative_to(results)): path.read_bytes()
        for step in MADE
        for path in (results / step).rglob("*")
        if path.is_file()
    }


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return four videos of one's own, two of them for training, one of them with a blank in its name."""
    folder = make_folder(tmp_path / "mine")
    (folder / "videos" / "a.mp4").rename(folder / "videos" / "my clip.mp4")
    gaze = (folder / "gaze.csv").read_text().replace("\na,", "\nmy clip,")
    (folder / "gaze.csv").write_text(f"{gaze}d,p1,0,400,20,20\n")
    (folder / "videos" / "d.mp4").write_bytes((folder / "videos" / "c.mp4").read_bytes())
    (folder / "split.csv").write_text("video,split\nmy clip,train\nb,train\nc,test\nd,test\n")
    return folder


@pytest.mark.slow
def test_the_same_bytes(folder, tmp_path):
    """Four videos, three at a time, and one by one; the costs tell the jobs that there were."""
    single, together = copy_checkout(tmp_path / "single"), copy_checkout(tmp_path / "together")
    for checkout, batch in ((single, 1), (together, 3)):
        done = run(checkout, folder, batch)
        assert done.rc == 0, done.text[-3000:]
    files = made(single)
    assert len(files) == 3 * 4 + 2 * 2
    assert made(together) == files
    assert "Nothing to be done" in run(together, folder, 3, "-n").text
    for checkout, expected in ((single, (4, 2)), (together, (2, 1))):
        costs = provenance.costs(checkout / "results/own/benchmarks").set_index("step")["jobs"]
        assert dict(costs) == {
            **dict.fromkeys(("rescale", "gaze", "flow"), expected[0]),
            "augment": expected[1],
        }
        logs = {path.stem for path in (checkout / "logs/own/flow").iterdir()}
        assert len(logs) == expected[0]
    told = (together / "logs/own/flow/batch0001.log").read_text()
    assert [video for video in ("my clip", "b", "c") if f"{video}: 40 fields" in told] == [
        "my clip",
        "b",
        "c",
    ]


@pytest.mark.slow
def test_a_failure_names_its_video(folder, tmp_path):
    """And the files of the batch's other videos go with it, so that none is taken for finished; other batches stay."""
    checkout = copy_checkout(tmp_path / "checkout")
    (folder / "videos" / "b.mp4").write_bytes(b"no video")
    done = run(checkout, folder, 3, "--keep-going")
    assert done.rc == 1
    log = (checkout / "logs/own/rescale/batch0001.log").read_text()
    assert "stopped at b, number 2 of 3" in log
    assert re.search(r"ERROR .*videos/b\.mp4", log)
    assert {path.name for path in (checkout / "results/own/frames").iterdir()} == {"d.h5"}
