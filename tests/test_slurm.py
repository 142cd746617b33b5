"""The workflow on a real SLURM: the same scores as without it, and the same model whatever is killed on the way.

Each test prints a line with the jobs' ids and what became of them: ``pytest -m slurm -rP tests/test_slurm.py``.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from helpers import once, shared_base, snakemake
from slurm_cluster import GPU_NODES, Cluster, JobState, missing, running_cluster, wait_until
from slurm_runs import (
    CHECKPOINTS,
    CONFIG,
    LOCALLY,
    MODEL,
    TABLE,
    Run,
    newest_step,
    prepare_folder,
    running,
    wait_for_step,
    write_profile,
)  # fmt: skip

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

STEPS = CONFIG["train"]["max_iters"]
HISTORY = MODEL.replace("model.safetensors", "history.csv")
TIMES = ["seconds", "wait_seconds", "samples_per_second"]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    """Return a running SLURM; it is stopped whatever happens."""
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="pip install -e '.[slurm]'")
    if reason := missing():
        pytest.skip(reason)
    with running_cluster(tmp_path_factory.mktemp("slurm") / "cluster") as started:
        yield started


def run_locally(folder: Path) -> None:
    prepare_folder(folder)
    done = snakemake(folder, *LOCALLY, "--configfile", "mine.yaml", "--", TABLE, timeout=600)
    assert done.rc == 0, done.text


@pytest.fixture(scope="session")
def local(tmp_path_factory) -> Path:
    """Return a folder in which the chain ran on this machine, without SLURM and without a disturbance."""
    return once(shared_base(tmp_path_factory), "local", run_locally)


@pytest.fixture
def untrained(local, tmp_path) -> Path:
    """Return a copy of that folder in which training is what is left to do."""
    folder = tmp_path / "run"
    shutil.copytree(local, folder, symlinks=True)
    for name in ("models", "checkpoints", "scores"):
        shutil.rmtree(folder / "results" / "demo" / name)
    return folder


def seen(cluster: Cluster, run: Run) -> list[JobState]:
    """Return the jobs of a run."""
    return [job for job in cluster.jobs() if job.id in run.job_ids()]


def check_trained(folder: Path, local: Path, step: int) -> int:
    """Check that training went on from its last checkpoint and that the result is the undisturbed one; return the step."""
    log = (folder / "logs" / "demo" / "train" / "early.seed0.log").read_text(encoding="utf-8")
    found = re.search(rf"resuming at step (\d+) of {STEPS}", log)
    assert found, log
    assert int(found[1]) >= step
    assert (folder / MODEL).read_bytes() == (local / MODEL).read_bytes()
    histories = [pd.read_csv(base / HISTORY).drop(columns=TIMES) for base in (folder, local)]
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    return int(found[1])


def tell(event: str, step: int, jobs: list[JobState], outcome: str) -> None:
    """Print a row of the matrix of kills."""
    ran = ", ".join(
        f"{job.id} {job.state.lower()}{f' after {job.restarts} restart(s)' * (job.restarts != '0')}"
        for job in jobs
    )
    print(f"| {event} | step {step} of {STEPS} | {ran} | {outcome} |")


def trained_job(cluster: Cluster, run: Run) -> JobState:
    (job,) = (job for job in seen(cluster, run) if job.state == "RUNNING")
    return job


# ---- the whole chain ------------------------------------------------------------------------------------------------


def test_the_scores_are_those_of_a_local_run(cluster, local, tmp_path):
    """Byte for byte; and every job was what the profile asked for."""
    folder = prepare_folder(tmp_path / "run")
    by_gres = {"evaluate": {"gpu": 0, "gres": "gpu:1"}}  # the profile's other way of asking for a GPU
    with running(cluster, folder, write_profile(tmp_path / "profile", set_resources=by_gres), TABLE) as run:
        assert run.wait(900) == 0, run.text()[-3000:]
        jobs = {}
        for job in seen(cluster, run):
            jobs.setdefault(job.comment.split("_wildcards")[0], []).append(job)
    scores = sorted(path.relative_to(local) for path in local.glob("results/demo/scores/*/*/*.parquet"))
    assert len(scores) == 2 * (1 + 5)
    for path in [MODEL, TABLE, "results/demo/table1_per_video.csv", *scores]:
        assert (folder / path).read_bytes() == (local / path).read_bytes(), path

    videos = len(CONFIG["dataset"]["only"])
    assert {name: len(found) for name, found in jobs.items()} == {
        "rule_prepare_demo_gaze_rescale": videos, "rule_flow": videos, "rule_train": 1, "rule_evaluate": 1,
        "rule_floors": 1, "rule_report_table1_of": 1,
    }  # fmt: skip
    everything = [job for found in jobs.values() for job in found]
    assert {job.state for job in everything} == {"COMPLETED"}
    (train,), (evaluate,) = jobs["rule_train"], jobs["rule_evaluate"]
    assert (train.partition, train.gpus, train.gres) == ("gpu", "gres:gpu:1", "N/A")
    assert (evaluate.partition, evaluate.gpus, evaluate.gres) == ("gpu", "N/A", "gres:gpu:1")
    assert "cpu=8," in evaluate.resources
    assert {job.partition for job in everything if job not in (train, evaluate)} == {"cpu"}
    assert {job.gpus for job in everything if job is not train} == {"N/A"}
    for job in everything:
        (log,) = (folder / "logs" / "slurm").rglob(f"{job.id}.log")
        assert log.stat().st_size
        print(f"job {job.id}: {job.comment}: {job.state}, {job.resources}, {job.partition} {job.nodes}")


# ---- killed in the middle of training -------------------------------------------------------------------------------


def cancel(cluster: Cluster, job: JobState) -> None:
    cluster.call("scancel", job.id)


def kill_process(cluster: Cluster, job: JobState) -> None:
    (process,) = cluster.processes("train.py")
    process.kill()


@pytest.mark.parametrize(
    ("kill", "event", "first"),
    [
        (cancel, "somebody cancels the job (`scancel`)", "CANCELLED"),
        (kill_process, "`kill -9` of the training process", "FAILED"),
    ],
)
def test_a_job_dies(cluster, local, untrained, tmp_path, kill, event, first):
    """Snakemake submits it once more, and training goes on where it was."""
    with running(cluster, untrained, write_profile(tmp_path / "profile"), MODEL) as run:
        wait_for_step(run, untrained, 20)
        step = newest_step(untrained)
        kill(cluster, trained_job(cluster, run))
        assert run.wait() == 0, run.text()[-3000:]
        jobs = seen(cluster, run)
    assert [job.state for job in jobs] == [first, "COMPLETED"]
    assert jobs[1].resources.split(",")[1] != jobs[0].resources.split(",")[1]  # more memory the second time
    resumed = check_trained(untrained, local, step)
    tell(event, step, jobs, f"a new job resumed at step {resumed}; same model")


def test_a_node_dies(cluster, local, untrained, tmp_path):
    """SLURM starts the job again on another node, under its id; Snakemake only waits."""
    with running(cluster, untrained, write_profile(tmp_path / "profile"), MODEL) as run:
        wait_for_step(run, untrained, 20)
        step, node = newest_step(untrained), trained_job(cluster, run).nodes
        cluster.kill_node(node)
        try:
            assert run.wait() == 0, run.text()[-3000:]
            (job,) = seen(cluster, run)
        finally:
            cluster.start_node(node)
            wait_until(
                lambda: node in cluster.call("sinfo", "-h", "-t", "idle", "-N", "-o", "%N"), f"{node} is back"
            )
    assert (job.state, job.restarts) == ("COMPLETED", "1")
    assert job.nodes != node
    resumed = check_trained(untrained, local, step)
    tell(
        f"the node dies (`kill -9` of all on {node})",
        step,
        [job],
        f"on {job.nodes}, resumed at step {resumed}; same model",
    )


def test_a_job_is_preempted(cluster, local, untrained, tmp_path):
    """It goes back into the queue, and on when there is room."""
    with running(cluster, untrained, write_profile(tmp_path / "profile"), MODEL) as run:
        wait_for_step(run, untrained, 20)
        step = newest_step(untrained)
        urgent = [
            cluster.call(
                *(
                    "sbatch",
                    "--parsable",
                    "-p",
                    "urgent",
                    "-w",
                    node,
                    "--gres=gpu:2",
                    "--mem=100",
                    "--time=5",
                ),
                *("--output=/dev/null", "--wrap=sleep 5"),
            ).strip()
            for node in GPU_NODES
        ]
        assert run.wait() == 0, run.text()[-3000:]
        (job,) = seen(cluster, run)
        others = {other.id: other.state for other in cluster.jobs() if other.id in urgent}
    assert (job.state, job.restarts) == ("COMPLETED", "1")
    assert set(others.values()) == {"COMPLETED"}
    resumed = check_trained(untrained, local, step)
    tell(
        "preempted by urgent jobs on every GPU node",
        step,
        [job],
        f"requeued, resumed at step {resumed}; same model",
    )


def test_the_memory_limit(cluster, local, untrained, tmp_path):
    """Killed above its limit, the job comes back with a larger one."""
    too_little = {"train": {"mem_mb": "400 * attempt ** 2"}}
    with running(
        cluster, untrained, write_profile(tmp_path / "profile", set_resources=too_little), MODEL
    ) as run:
        assert run.wait() == 0, run.text()[-3000:]
        jobs = seen(cluster, run)
    # OUT_OF_MEMORY where control groups enforce the limit.
    assert [job.state for job in jobs] == ["FAILED", "COMPLETED"]
    assert ["mem=400M" in jobs[0].resources, "mem=1600M" in jobs[1].resources] == [True, True]
    (log,) = (untrained / "logs" / "slurm").rglob(f"{jobs[0].id}.log")
    assert "memory" in log.read_text()
    assert (untrained / MODEL).read_bytes() == (local / MODEL).read_bytes()
    tell("the memory limit is passed (400 MB)", 0, jobs, "a new job with 1600 MB; same model")


def test_the_time_limit(cluster, local, untrained, tmp_path):
    """SLURM's SIGTERM at the end of it saves the step; the next attempt has more time and goes on."""
    short = {"train": {"runtime": "1 * attempt ** 2"}}
    with running(cluster, untrained, write_profile(tmp_path / "profile", set_resources=short), MODEL) as run:
        wait_for_step(run, untrained, 20)
        (process,) = cluster.processes("train.py")
        process.suspend()  # a training that takes longer than its limit, in a minute
        step = newest_step(untrained)
        assert run.wait(400) == 0, run.text()[-3000:]
        jobs = seen(cluster, run)
    assert [job.state for job in jobs] == ["TIMEOUT", "COMPLETED"]
    assert [job.limit for job in jobs] == ["1:00", "4:00"]
    resumed = check_trained(untrained, local, step)
    tell(
        "the time limit is reached (1 minute)",
        step,
        jobs,
        f"a new job with 4 minutes resumed at step {resumed}; same model",
    )


# ---- Snakemake itself, and the controller ---------------------------------------------------------------------------


def test_snakemake_is_interrupted(cluster, local, untrained, tmp_path):
    """Ctrl-C cancels its jobs; training has saved; the same command goes on."""
    profile = write_profile(tmp_path / "profile")
    with running(cluster, untrained, profile, MODEL, name="first") as run:
        wait_for_step(run, untrained, 20)
        step = newest_step(untrained)
        run.process.send_signal(signal.SIGINT)
        assert run.wait(120) != 0
        wait_until(lambda: seen(cluster, run)[0].state == "CANCELLED", "the job is cancelled")
        jobs = seen(cluster, run)
    assert not (untrained / MODEL).exists()
    with running(cluster, untrained, profile, MODEL, name="second") as run:
        assert run.wait() == 0, run.text()[-3000:]
        jobs += seen(cluster, run)
    resumed = check_trained(untrained, local, step)
    tell(
        "Ctrl-C of Snakemake",
        step,
        jobs,
        f"its job was cancelled; run again: resumed at step {resumed}; same model",
    )


def test_snakemake_is_killed(cluster, local, untrained, tmp_path):
    """Its jobs live on: cancelled by the run's name, unlocked, and run again, all is as if nothing had been."""
    profile = write_profile(tmp_path / "profile")
    with running(cluster, untrained, profile, MODEL, name="first") as run:
        wait_for_step(run, untrained, 20)
        os.killpg(run.process.pid, signal.SIGKILL)
        run.process.wait()
        step = newest_step(untrained)
        assert trained_job(cluster, run).state == "RUNNING"
        (name,) = re.findall(r"SLURM run ID: (\S+)", run.text())
        assert name.startswith("dynsal_")
        cluster.call("scancel", "-n", name)
        wait_until(lambda: seen(cluster, run)[0].state == "CANCELLED", "the job is cancelled")
        jobs = seen(cluster, run)
    unlocked = snakemake(untrained, "--unlock", "--cores", 1, "--configfile", "mine.yaml")
    assert unlocked.rc == 0, unlocked.text
    with running(cluster, untrained, profile, MODEL, name="second") as run:
        assert run.wait() == 0, run.text()[-3000:]
        jobs += seen(cluster, run)
    resumed = check_trained(untrained, local, step)
    tell(
        "`kill -9` of Snakemake, then `scancel -n`, `--unlock`",
        step,
        jobs,
        f"resumed at step {resumed}; same model",
    )


def test_the_controller_is_away(cluster, local, untrained, tmp_path):
    """For as long as the job runs, and after its end; nothing is lost and nothing hangs."""
    with running(cluster, untrained, write_profile(tmp_path / "profile"), MODEL) as run:
        wait_for_step(run, untrained, 20)
        step = newest_step(untrained)
        cluster.kill_controller()
        try:
            wait_until((untrained / MODEL).exists, "training ends without the controller", 240)
        finally:
            cluster.start_controller()
        assert run.wait() == 0, run.text()[-3000:]
        (job,) = seen(cluster, run)
    assert (job.state, job.restarts) == ("COMPLETED", "0")
    assert (untrained / MODEL).read_bytes() == (local / MODEL).read_bytes()
    assert newest_step(untrained) == STEPS, untrained / CHECKPOINTS
    tell(
        "`kill -9` of the controller until training has ended",
        step,
        [job],
        "training never noticed; same model",
    )
