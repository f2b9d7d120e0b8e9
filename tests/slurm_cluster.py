"""A private, real SLURM on this machine: daemons, keys, accounts and nodes of its own, on loopback.

Debian's packages munge, slurm-wlm, slurmdbd and mariadb-server are all that it needs: no systemd,
no containers, no cgroups; what is installed system-wide stays untouched. Nodes n1, n2, ... are
daemons on this host, with pretended GPUs.
"""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "slurmdbd", "mariadbd", "mariadb-install-db")
PACKAGES = "munge slurm-wlm slurmdbd mariadb-server"
CLIENTS = (
    "sbatch",
    "scancel",
    "scontrol",
    "squeue",
    "sinfo",
    "srun",
    "sacct",
    "sacctmgr",
    "sshare",
)
SBIN = "/usr/sbin:/sbin:/usr/local/sbin"
ACCOUNT = "research"

SLURM_CONF = """
ClusterName=local
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
CredType=cred/munge
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdSpoolDir={folder}/spool/%n
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
PlugStackConfig={folder}/plugstack.conf
CommunicationParameters=NoCtldInAddrAny
# Neither cgroups nor pinning of tasks: they need rights that a container lacks. Memory limits are
# kept by sampling once a second.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# Nodes may claim more than this machine has.
SlurmdParameters=config_overrides
# Everything is noticed within seconds, where a cluster takes minutes.
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=10
KillWait=10
InactiveLimit=0
MinJobAge=600
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={ports[1]}
AccountingStoragePass={folder}/munge.socket
AccountingStorageEnforce=associations,limits,qos
AccountingStoreFlags=job_comment
AccountingStorageTRES=gres/gpu
EnforcePartLimits=ALL
GresTypes=gpu
{nodes}
PartitionName=cpu Nodes=ALL Default=YES DefaultTime=10 MaxTime=600 PriorityTier=1 GraceTime=10
PartitionName=gpu Nodes=ALL DefaultTime=10 MaxTime=600 PriorityTier=1 GraceTime=10
PartitionName=urgent Nodes=ALL DefaultTime=10 MaxTime=600 PriorityTier=9
"""
NODE = (
    "NodeName=n{number} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs={cpus} "
    "RealMemory={memory} Gres=gpu:test:{gpus} State=UNKNOWN"
)
SLURMDBD_CONF = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={ports[1]}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
LogFile={folder}/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={ports[2]}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm_acct_db
"""


def why_not() -> str | None:
    """Return why no SLURM can be started here; None if one can."""
    missing = [name for name in COMMANDS if shutil.which(name, path=_search_path()) is None]
    if missing:
        return f"no {', '.join(missing)}: apt-get install {PACKAGES}"
    if os.geteuid() != 0:
        return "starting SLURM's daemons takes root"
    return None


def _search_path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), SBIN])


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until `condition` holds; fail with `what` if it does not in so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} within {seconds} s"
        time.sleep(0.3)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    """A running SLURM; `environment` is what its users' processes need."""

    def __init__(self, folder: Path, nodes: int, cpus: int, memory: int, gpus: int) -> None:
        self.folder = folder
        self.nodes = [f"n{number + 1}" for number in range(nodes)]
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.password = secrets.token_hex(12)
        self.ports = _free_ports(3 + nodes)
        for name in ("spool", "state", "devices", "bin"):
            (folder / name).mkdir()
        self._configure(cpus, memory, gpus)
        self.environment = {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": os.pathsep.join([str(folder / "bin"), _search_path()]),
        }

    def _configure(self, cpus: int, memory: int, gpus: int) -> None:
        nodes = "\n".join(
            NODE.format(number=number + 1, port=port, cpus=cpus, memory=memory, gpus=gpus)
            for number, port in enumerate(self.ports[3:])
        )
        facts = {"folder": self.folder, "ports": self.ports, "password": self.password}
        self._write("slurm.conf", SLURM_CONF.format(nodes=nodes, **facts))
        self._write("slurmdbd.conf", SLURMDBD_CONF.format(**facts), mode=0o600)
        self._write("plugstack.conf", "")
        self._write("munge.key", secrets.token_hex(512), mode=0o400)
        for number in range(gpus):
            # A GPU of gres.conf is a character device; these are other names of /dev/null.
            os.mknod(self.folder / "devices" / f"gpu{number}", 0o20666, os.makedev(1, 3))
        devices = f"{self.folder}/devices/gpu[0-{gpus - 1}]"
        names = ",".join(self.nodes)
        self._write("gres.conf", f"NodeName={names} Name=gpu Type=test File={devices}\n")
        for name in CLIENTS:
            # Inside a job the plugin drops SLURM_CONF; so the commands bring it along.
            command = f'exec {shutil.which(name, path=_search_path())} "$@"'
            text = f"#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf {command}\n"
            self._write(f"bin/{name}", text, mode=0o755)

    def _write(self, name: str, text: str, mode: int = 0o644) -> None:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)

    def start(self) -> None:
        """Start all daemons and wait until each node takes jobs."""
        folder = self.folder
        self._start(
            "munged",
            "--foreground",
            "--force",
            f"--key-file={folder}/munge.key",
            f"--socket={folder}/munge.socket",
            f"--pid-file={folder}/munged.pid",
            f"--log-file={folder}/munged.log",
            f"--seed-file={folder}/munged.seed",
        )
        self._start_database()
        wait_until((folder / "munge.socket").exists, 20, "munge's socket is there")
        self._start("slurmdbd", "-D")
        wait_until(
            lambda: self.run("sacctmgr", "-n", "show", "cluster").returncode == 0,
            60,
            "slurmdbd answers",
        )
        for command in (
            "add cluster local",
            f"add account {ACCOUNT} cluster=local",
            f"add user root account={ACCOUNT} cluster=local",
            "modify user root set defaultaccount=" + ACCOUNT,
        ):
            self.run("sacctmgr", "-i", *command.split())
        self._start("slurmctld", "-D", "-f", f"{folder}/slurm.conf")
        for node in self.nodes:
            self.start_node(node)
        wait_until(
            lambda: (
                len(self.states()) == len(self.nodes) and set(self.states().values()) == {"idle"}
            ),
            60,
            "all nodes are up",
        )

    def _start(self, name: str, *arguments: str, key: str | None = None) -> None:
        program = shutil.which(name, path=_search_path())
        assert program
        with open(self.folder / f"{key or name}.out", "ab") as out:
            self.daemons[key or name] = subprocess.Popen(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=os.environ | self.environment,
                start_new_session=True,
            )

    def _start_database(self) -> None:
        folder = self.folder
        subprocess.run(
            [
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={folder}/database",
                "--user=root",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            env=os.environ | self.environment,
            capture_output=True,
            check=True,
        )
        self._start(
            "mariadbd",
            "--no-defaults",
            "--user=root",
            f"--datadir={folder}/database",
            f"--socket={folder}/database.socket",
            "--bind-address=127.0.0.1",
            f"--port={self.ports[2]}",
            "--innodb-buffer-pool-size=64M",
            "--innodb-lock-wait-timeout=900",
        )
        statements = "CREATE DATABASE slurm_acct_db;" + "".join(
            f"CREATE USER 'slurm'@'{host}' IDENTIFIED BY '{self.password}';"
            f"GRANT ALL ON slurm_acct_db.* TO 'slurm'@'{host}';"
            for host in ("localhost", "127.0.0.1")
        )
        client = ["mariadb", "--no-defaults", "-uroot", f"--socket={folder}/database.socket", "-e"]
        wait_until(lambda: self.run(*client, "SELECT 1").returncode == 0, 60, "mariadb answers")
        done = self.run(*client, statements)
        assert done.returncode == 0, done.stderr

    def start_node(self, node: str) -> None:
        """Start a node's daemon."""
        (self.folder / "spool" / node).mkdir(exist_ok=True)
        self._start("slurmd", "-D", "-f", f"{self.folder}/slurm.conf", "-N", node, key=node)

    def fail_node(self, node: str) -> None:
        """Take a node away with all that runs there, as a power cut does."""
        self.daemons.pop(node).kill()
        for process in self._steps():
            if f"SLURMD_NODENAME={node}" in _environment(process):
                _kill_tree(process)

    def _steps(self) -> list[int]:
        """Return the processes of jobs' steps on this cluster, below which their programs are."""
        mine = f"SLURM_CONF={self.folder}/slurm.conf"
        found = []
        for path in Path("/proc").glob("[0-9]*/comm"):
            try:
                is_step = path.read_text().startswith("slurmstepd")
            except OSError:
                continue
            number = int(path.parent.name)
            if is_step and mine in _environment(number):
                found.append(number)
        return found

    def stop(self) -> None:
        """End all jobs and daemons."""
        self.run("scancel", "--user=root")
        for name in reversed(self.daemons):
            self.daemons[name].terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for process in self._steps():
            _kill_tree(process)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Call a command as a user of the cluster does."""
        return subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, text=True
        )

    def states(self) -> dict[str, str]:
        """Return the state of each node, such as idle, mixed, down."""
        lines = self.run("sinfo", "-h", "-N", "-p", "cpu", "-o", "%N %T").stdout.split("\n")
        return dict(line.split() for line in lines if line)

    def queue(self) -> dict[str, str]:
        """Return the state of each job that waits or runs, by its id."""
        lines = self.run("squeue", "-h", "-o", "%A %T").stdout.split("\n")
        return dict(line.split() for line in lines if line)

    def history(self) -> str:
        """Return the accounting of all jobs, each time that they were queued."""
        columns = "jobid,state,exitcode,elapsed,timelimit,reqmem,nodelist,comment%60"
        return self.run("sacct", "-X", "-D", "-o", columns).stdout


def _environment(process: int) -> list[str]:
    try:
        return Path(f"/proc/{process}/environ").read_text(errors="replace").split("\0")
    except OSError:
        return []


def _kill_tree(process: int) -> None:
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True
    ).stdout.split()
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    for child in children:
        _kill_tree(int(child))


def job_of(pattern: str) -> tuple[str, str] | None:
    """Return (job id, node) of a running program whose command line has this regular expression."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_text(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if re.search(pattern, command) and re.match(r"\S*python\S* \S*scripts/", command):
            told = dict(line.partition("=")[::2] for line in _environment(int(path.parent.name)))
            if "SLURM_JOB_ID" in told:
                return told["SLURM_JOB_ID"], told["SLURMD_NODENAME"]
    return None


@contextmanager
def running_cluster(
    nodes: int = 2, cpus: int = 2, memory: int = 16_000, gpus: int = 2
) -> Iterator[Cluster]:
    """Give a running cluster, whose nodes each claim so many CPUs, MB of memory, and GPUs."""
    # Sockets have paths of a hundred characters at most.
    with tempfile.TemporaryDirectory(prefix="gap-slurm-", dir="/tmp") as name:
        cluster = Cluster(Path(name), nodes, cpus, memory, gpus)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
