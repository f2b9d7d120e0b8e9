"""What is told at the end of a run in which jobs failed."""

from __future__ import annotations

from pathlib import Path

import pytest
from gap.run.failures import NOTHING_TOLD, TAIL_BYTES, explain_failures, resume_command

COMMAND = "snakemake --cores 2"


def write_log(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def told(content: str | bytes, folder: Path) -> list[str]:
    """Return what is told of the log of one failed job."""
    log = write_log(folder, "one.log", content)
    text = explain_failures([("Training", log)], COMMAND, total=9, waiting=0)
    lines = text.split("\n\n")[1].splitlines()
    assert (lines[0], lines[-1]) == ("Training", f"    log: {log}")
    return [line.removeprefix("    ") for line in lines[1:-1]]


def test_the_whole_text(tmp_path: Path) -> None:
    same = "seed 1\nerror: lr is too high; lower it\n"
    logs = [write_log(tmp_path, f"{n}.log", same) for n in (1, 2)]
    logs.append(write_log(tmp_path, "3.log", "Traceback\n  a\nKeyError: 'x'\n"))
    titles = ["Training lstm on 250", "Training lstm on 1000", "Training linear on 250"]
    failed = list(zip(titles, logs, strict=True))
    assert explain_failures(failed, COMMAND, total=42, waiting=9) == (
        "3 of 42 jobs failed, 9 were not begun\n"
        "\n"
        "Training lstm on 250\n"
        "Training lstm on 1000\n"
        "    error: lr is too high; lower it\n"
        f"    the first one's log: {logs[0]}\n"
        "\n"
        "Training linear on 250\n"
        "    Traceback\n"
        "      a\n"
        "    KeyError: 'x'\n"
        f"    log: {logs[2]}\n"
        "\n"
        "What is finished is kept. When it is mended, the same command goes on:\n"
        "    snakemake --cores 2"
    )


def test_a_job_that_was_stopped_did_not_fail(tmp_path: Path) -> None:
    stopped = ("Training", write_log(tmp_path, "1.log", "stopped: after step 7; goes on\n"))
    failed = ("Scoring", write_log(tmp_path, "2.log", "error: no file\n"))
    both = explain_failures([stopped, failed], COMMAND, total=9, waiting=1)
    assert both.startswith("1 of 9 jobs failed, 1 was stopped, 1 was not begun\n")
    assert "Training\n    stopped: after step 7; goes on\n" in both
    alone = explain_failures([stopped], COMMAND, total=9, waiting=0, interrupted=2)
    assert alone.startswith("3 of 9 jobs were stopped\n")
    assert alone.endswith("kept. The same command goes on:\n    snakemake --cores 2")


def test_a_run_that_was_interrupted_with_no_job_failed() -> None:
    text = explain_failures([], COMMAND, total=9, waiting=3, interrupted=1)
    assert text.startswith("1 of 9 jobs was stopped, 3 were not begun\n\nWhat is finished is kept")


def test_the_last_line_that_tells_is_told_alone(tmp_path: Path) -> None:
    assert told("error: first\nstep 1\nerror: second\nafterwards\n", tmp_path) == ["error: second"]
    assert told("stopped: at 3\nstep 1\nerror: second\n", tmp_path) == ["error: second"]


def test_the_last_lines_are_told_where_no_error_is(tmp_path: Path) -> None:
    lines = "\n\n".join(f"line {n}" for n in range(8)) + "\nRuntimeError: of torch\n \n"
    expected = [*(f"line {n}" for n in range(4, 8)), "RuntimeError: of torch"]
    assert told(lines, tmp_path) == expected


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_log_says_that_the_job_was_perhaps_killed(content: str, tmp_path: Path) -> None:
    assert told(content, tmp_path) == [NOTHING_TOLD]


def test_of_a_progress_bar_only_its_last_state_is_told(tmp_path: Path) -> None:
    bar = "start\n\r  0%|   | 0/9\r 10%|#  | 1/9\r 20%|## | 2/9"
    assert told(bar, tmp_path) == ["start", " 20%|## | 2/9", NOTHING_TOLD]


def test_of_a_huge_log_the_end_is_told_and_the_beginning(tmp_path: Path) -> None:
    filler = "progress\n" * TAIL_BYTES
    assert told(filler + "error: at the end\n", tmp_path) == ["error: at the end"]
    # So it stands where the device was full.
    assert told("error: no space left\n" + filler, tmp_path) == ["error: no space left"]
    (line, _) = told("x" * 5_000_000, tmp_path)
    assert len(line) == 500


def test_a_binary_log_does_no_harm(tmp_path: Path) -> None:
    lines = told(bytes(range(256)) * 200, tmp_path)
    assert all(line.isprintable() for line in lines)
    assert told(b"\xff\xfe\x1b[31m\x00\nerror: \x07bell\n", tmp_path) == ["error: bell"]


def test_logs_that_cannot_be_read_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    failed = [
        ("gone", str(tmp_path / "gone.log")),
        ("a folder", str(tmp_path / "folder")),
        ("none", None),
    ]
    text = explain_failures(failed, COMMAND, total=3, waiting=0)
    assert "gone\n    (its log cannot be read: No such file or directory)" in text
    assert "a folder\n    (its log cannot be read: Is a directory)" in text
    assert "none\n    (it has no log; see what Snakemake said of it above)\n\n" in text


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["/opt/bin/snakemake", "--cores", "2"], "snakemake --cores 2"),
        ([".venv/bin/snakemake", "-n"], ".venv/bin/snakemake -n"),
        (["/lib/snakemake/__main__.py", "-c1"], "python -m snakemake -c1"),
        (["snakemake", "--configfile", "my study.yaml"], "snakemake --configfile 'my study.yaml'"),
    ],
)
def test_the_command_can_be_pasted(argv: list[str], command: str) -> None:
    assert resume_command(argv) == command
