"""How programs end: in one line for what a person can put right, in a traceback for a mistake."""

import errno
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from gap.run import program
from gap.run.errors import Stopped, UserError

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
GO_ON = "make room there, then the same command goes on"


def end(raised, capsys):
    """Run a program that raises this; return its exit status and the last line on stderr."""

    def main(argv):
        raise raised

    with pytest.raises(SystemExit) as stop:
        program.run(main)
    return stop.value.code, capsys.readouterr().err.splitlines()[-1]


def caused_by(error, cause):
    error.__cause__ = cause
    return error


def test_a_mistake_of_the_user_is_one_line(capsys):
    assert end(UserError("x.csv: no rows"), capsys) == (1, "error: x.csv: no rows")


def test_a_program_that_was_stopped_says_that_it_goes_on(capsys):
    line = "stopped: saved at step 7; the same command goes on from there"
    assert end(Stopped("saved at step 7"), capsys) == (75, line)


def test_letters_that_a_terminal_does_not_know_stop_no_program():
    code = "from gap.run.program import run; run(lambda argv: print('caf\u00e9'))"
    call = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(SCRIPTS), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
    )
    assert (call.returncode, call.stdout) == (0, b"caf?\n")


def test_any_other_error_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        program.run(lambda argv: print(1 / 0))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "results/x/pool.parquet"),
        OSError(errno.EDQUOT, "Disk quota exceeded", "results/x/pool.parquet"),
        OSError(errno.ENOSPC, "No space left", "elsewhere/a", None, "results/x/pool.parquet"),
        caused_by(RuntimeError("failed"), OSError(errno.ENOSPC, "No space", "results/x/ids.npy")),
        caused_by(UserError("no file"), OSError(errno.ENOSPC, "No space", "results/x/files")),
    ],
)
def test_a_full_device_is_named_by_the_file_that_did_not_fit(error, capsys):
    code, line = end(error, capsys)
    assert code == 1
    assert line.startswith(f"error: no space left on the device of results/x: {GO_ON} (")
    assert line.endswith(f"({type(error).__name__}: {error})")


def test_a_full_device_is_else_the_fullest_of_the_command_line(tmp_path, monkeypatch, capsys):
    free = {"full": 10, "roomy": 10**9, ".": 10**9}
    for name in ("full", "roomy"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        program.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free[folder])
    )
    monkeypatch.setattr(sys, "argv", ["x.py", "--ids=roomy/a", "--weights", "full/b", '{"a/b": 1}'])
    _, line = end(OSError(errno.ENOSPC, "No space left on device"), capsys)
    assert line.startswith("error: no space left on the device of full: ")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "out of memory: "),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "out of memory: "),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out of memory: "),
        (
            PermissionError(errno.EACCES, "Permission denied", "r/a"),
            "no permission for a file in r",
        ),
        (OSError(errno.EROFS, "Read-only file system", "r/a"), "no permission for a file in r"),
    ],
)
def test_other_trouble_of_the_machine_is_one_line(error, told, capsys):
    code, line = end(error, capsys)
    assert code == 1
    assert line.startswith(f"error: {told}")


def test_a_users_mistake_stays_what_it_is_whatever_it_quotes_or_came_from(capsys):
    quoting = UserError("label 'No space left on device' is unknown")
    assert end(quoting, capsys)[1] == f"error: {quoting}"
    denied = caused_by(UserError("x.csv: cannot be read"), PermissionError(errno.EACCES, "no"))
    assert end(denied, capsys)[1] == "error: x.csv: cannot be read"


# ------------------------------------------------ what libraries really say on a full disk

WRITERS = {
    "its own log": "[print('x' * 1000, flush=True) for _ in range(1000)]",
    "text": "open('x', 'w').write('x' * 10**7)",
    "numpy": "import numpy; numpy.zeros(10**6).tofile('x')",
    "pyarrow": (
        "import numpy, pyarrow, pyarrow.parquet as parquet;"
        "parquet.write_table(pyarrow.table({'a': numpy.random.rand(10**6)}), 'x')"
    ),
    "safetensors": (
        "import numpy, safetensors.numpy as s; s.save_file({'a': numpy.zeros(10**6)}, 'x')"
    ),
    "torch": "import torch; torch.save({'a': torch.zeros(10**6)}, 'x')",
    "duckdb": (
        "import duckdb; database = duckdb.connect('x');"
        "database.execute('create table t as select random() from range(1000000)');"
        "database.execute('checkpoint')"
    ),
    "duckdb, spilling": (
        "import duckdb; database = duckdb.connect();"
        "database.execute(\"set memory_limit='30MB'; set threads=1; set temp_directory='s'\");"
        "database.execute('select hash(range) a, range from range(3000000) order by 1').fetchall()"
    ),
}
PROGRAM = """
import sys
sys.path.insert(0, {scripts!r})
from gap.run.program import run
def main(argv):
    {writer}
run(main)
"""


@pytest.fixture
def full_disk(tmp_path):
    """A disk with next to no room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    called = subprocess.run(mount, capture_output=True, text=True)
    if called.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {called.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.system
@pytest.mark.parametrize("library", WRITERS)
def test_whatever_fills_the_disk_ends_in_the_line(library, full_disk):
    scripts = str(Path(program.__file__).parents[2])
    text = PROGRAM.format(scripts=scripts, writer=WRITERS[library])
    # The log stands on the full disk, too, and still has the line.
    with (full_disk / "log").open("w") as log:
        called = subprocess.run([sys.executable, "-c", text], cwd=full_disk, stdout=log, stderr=log)
    said = (full_disk / "log").read_text()
    # Python itself exits with 120 where it could not write all of a log.
    assert called.returncode in (1, 120), said
    assert f"error: no space left on the device of .: {GO_ON}" in said
    assert said.startswith("error: " if library == "its own log" else "python -c")
    assert "Traceback" not in said
