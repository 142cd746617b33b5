"""A private, throw-away SLURM on the loopback interface: controller, nodes, and what breaks them.

Needs Debian's ``slurmctld slurmd slurm-client munge`` and a host name that resolves to 127.x; neither systemd nor cgroups
nor an accounting database. Everything lives in one folder, on ports that were free, and is stopped by process id.

``python tests/slurm_cluster.py -- COMMAND`` runs a command with such a cluster.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import psutil
from slurm_processes import node_of, steps, words_of

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue", "setpriv")
SEARCHED = os.pathsep.join(["/usr/sbin", "/sbin", os.environ.get("PATH", "")])
CPU_NODES, GPU_NODES = ("n1", "n2"), ("g1", "g2")

_FIELDS = "JobID:12 |,State:12 |,TimeLimit:14 |,Partition:12 |,NodeList:12 |,RestartCnt:8 |,tres-alloc:80 |,tres-per-job:30 |,tres-per-node:30 |,Comment:120 "


def missing() -> str | None:
    """Return why no SLURM can be started here, or None if it can."""
    lacking = [name for name in PROGRAMS if shutil.which(name, path=SEARCHED) is None]
    if lacking:
        return f"no {', '.join(lacking)}: apt-get install --no-install-recommends slurmctld slurmd slurm-client munge"
    if os.geteuid() != 0:
        return "not root: the stand-ins for GPUs are device files, which only root can make"
    try:
        address = socket.gethostbyname(socket.gethostname())
    except OSError:
        address = "nothing"
    if not address.startswith("127."):
        return f"the host name resolves to {address}: add it to the line of 127.0.0.1 in /etc/hosts"
    return None


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_until(true: Callable[[], object], what: str, seconds: float = 60, pause: float = 0.1) -> None:
    """Ask until the answer is true.

    Raises
    ------
    TimeoutError
        If it does not become true in time.
    """
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"after {seconds:g} s still not: {what}")
        time.sleep(pause)


@dataclass(frozen=True)
class JobState:
    """What squeue says of a job."""

    id: str
    state: str
    limit: str
    partition: str
    nodes: str
    restarts: str
    resources: str
    """What it was given: ``cpu=8,mem=16000M,node=1,billing=8``."""
    gpus: str
    """What ``--gpus`` asked for: ``gres:gpu:1``, or N/A."""
    gres: str
    """What ``--gres`` asked for: ``gres:gpu:1``, or N/A."""
    comment: str
    """Rule and wildcards, from the plugin."""


@dataclass
class Cluster:
    """One SLURM in one folder; use :func:`running_cluster`."""

    folder: Path
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def conf(self) -> Path:
        return self.folder / "etc" / "slurm.conf"

    def environment(self) -> dict[str, str]:
        """Return what finds this cluster, for clients and daemons."""
        return {**os.environ, "PATH": SEARCHED, "SLURM_CONF": str(self.conf)}

    def start(self) -> None:
        for name in ("etc", "log", "run", "munge", "controller", "spool", "dev"):
            (self.folder / name).mkdir(parents=True)
        self._write_configuration()
        self._start_munge()
        self.start_controller()
        for node in (*CPU_NODES, *GPU_NODES):
            self.start_node(node)
        wait_until(self._all_idle, f"all nodes idle ({self.folder}/log says why)", 60)

    def stop(self) -> None:
        """Cancel all jobs, then end every daemon and whatever a job has left behind."""
        if self._runs("slurmctld"):
            with contextlib.suppress(subprocess.SubprocessError):
                ids = {job.id for job in self.jobs() if job.state in ("RUNNING", "PENDING")}
                if ids:
                    self.call("scancel", *sorted(ids))
                wait_until(lambda: not self._steps(), "all jobs gone", 15)
        for last in (False, True):
            self._end(
                [name for name in self.daemons if (name == "munged") == last]
            )  # which the others need to the end
        for process in self._steps():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def call(self, *words: object) -> str:
        """Run a command of SLURM and return what it prints.

        Raises
        ------
        subprocess.SubprocessError
            If it fails or does not answer within 30 s.
        """
        done = subprocess.run(
            [str(word) for word in words],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return done.stdout

    def jobs(self) -> list[JobState]:
        """Return all jobs of the last minutes, finished ones too, by id."""
        text = self.call("squeue", "--states=all", "-h", "-O", _FIELDS)
        found = [JobState(*(part.strip() for part in line.split("|"))) for line in text.splitlines()]
        return sorted(found, key=lambda job: int(job.id))

    # ---- what breaks ----

    def start_controller(self) -> None:
        # Without -c: a controller that comes back knows its jobs.
        self._start("slurmctld", "slurmctld", "-D", "-f", self.conf)
        wait_until(lambda: self._answers("scontrol", "ping"), "the controller answers", 30)

    def kill_controller(self) -> None:
        self._kill("slurmctld")

    def start_node(self, node: str) -> None:
        (self.folder / "spool" / node).mkdir(exist_ok=True)
        self._start(f"slurmd.{node}", "slurmd", "-D", "-N", node, "-f", self.conf)

    def kill_node(self, node: str) -> None:
        """Kill a node's daemon and every process on it at once, as a power cut does."""
        doomed = [process for process in self._steps() if node_of(self.folder, process) == node]
        self._kill(f"slurmd.{node}")
        for process in doomed:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def processes(self, script: str) -> list[psutil.Process]:
        """Return the Python processes of this cluster's jobs that run a script."""
        return [
            process
            for process in self._steps()
            if any(word.endswith(script) for word in words_of(process)[1:3])
            and "python" in Path(words_of(process)[0]).name
        ]

    # ---- inside ----

    def _write_configuration(self) -> None:
        ports = free_ports(1 + len(CPU_NODES) + len(GPU_NODES))
        lines = []
        for node, port in zip((*CPU_NODES, *GPU_NODES), ports[1:], strict=True):
            gpus = " Gres=gpu:fake:2" if node in GPU_NODES else ""
            lines.append(
                f"NodeName={node} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs=32 RealMemory=256000{gpus}"
            )
        template = Template(Path(__file__).with_name("slurm.conf.in").read_text(encoding="utf-8"))
        text = template.substitute(
            host=socket.gethostname().split(".")[0],
            port=ports[0],
            user=subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip(),
            folder=self.folder,
            nodes="\n".join(lines),
            cpu_nodes=",".join(CPU_NODES),
            gpu_nodes=",".join(GPU_NODES),
        )
        self.conf.write_text(text)
        for name in ("cgroup.conf", "plugstack.conf"):
            (self.conf.parent / name).touch()
        # A gpu that is only counted is refused by SLURM 22.05; so is a plain file. Two null devices will do.
        for number in range(2):
            os.mknod(self.folder / "dev" / f"gpu{number}", 0o20666, os.makedev(1, 3))
        (self.conf.parent / "gres.conf").write_text(
            "".join(
                f"NodeName={node} Name=gpu Type=fake File={self.folder}/dev/gpu[0-1]\n" for node in GPU_NODES
            )
        )

    def _start_munge(self) -> None:
        munge = self.folder / "munge"
        munge.chmod(0o711)
        key = munge / "key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        self._start(
            "munged",
            *("munged", "--force", "--foreground", "--num-threads=2", f"--key-file={key}"),
            *(f"--socket={munge}/socket", f"--pid-file={munge}/pid", f"--seed-file={munge}/seed"),
            f"--log-file={self.folder}/log/munged.log",
        )
        wait_until(lambda: self._answers("munge", "-n", "-S", munge / "socket"), "munge answers", 20)

    def _start(self, name: str, *words: object) -> None:
        # Not even a `kill -9` of the tests leaves daemons behind.
        guarded = ["setpriv", "--pdeathsig", "TERM", *map(str, words)]
        with (self.folder / "log" / f"{name}.out").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                guarded,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.folder / "run" / f"{name}.started").write_text(f"{self.daemons[name].pid}\n")

    def _end(self, names: list[str]) -> None:
        for name in names:
            self.daemons[name].terminate()
        for name in names:
            try:
                self.daemons[name].wait(3)
            except subprocess.TimeoutExpired:  # its state is thrown away
                self._kill(name)

    def _kill(self, name: str) -> None:
        self.daemons[name].send_signal(signal.SIGKILL)
        self.daemons[name].wait()

    def _runs(self, name: str) -> bool:
        return name in self.daemons and self.daemons[name].poll() is None

    def _answers(self, *words: object) -> bool:
        try:
            self.call(*words)
        except (subprocess.SubprocessError, OSError):
            return False
        return True

    def _all_idle(self) -> bool:
        idle = self.call("sinfo", "-h", "-N", "-t", "idle", "-o", "%N").split()
        return set(idle) == {*CPU_NODES, *GPU_NODES}

    def _steps(self) -> list[psutil.Process]:
        return steps(self.folder, {daemon.pid for daemon in self.daemons.values()})


@contextlib.contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """Start a SLURM in an empty folder; stop all of it at the end, also when starting fails half-way."""
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


if __name__ == "__main__":
    if reason := missing():
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as temporary, running_cluster(Path(temporary) / "cluster") as here:
        given = sys.argv[sys.argv.index("--") + 1 :]
        sys.exit(
            subprocess.run(given, env={**here.environment(), "DYNSAL_SLURM_CONF": str(here.conf)}).returncode
        )
