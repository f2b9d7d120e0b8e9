"""Write the locked requirements anew from requirements.in (`make lock`; needs uv).

Versions stay as they are unless requirements.in rules them out or `--upgrade` is given.
torch-cpu.txt is left alone: its first lines tell how to renew it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ENVS = Path(__file__).parent
HEADER = "# Locked by `make lock` from requirements.in: every file pinned by its hashes.\n"
# torch's CPU build does without these libraries, so they are locked apart from the rest.
ACCELERATOR = re.compile(r"(torch|triton|nvidia-|cuda-)")


def compile_lock(previous: str, options: list[str]) -> str:
    """Return the lock of all requirements for every platform, near to `previous`.

    Raises subprocess.CalledProcessError when uv finds no versions that fit together.
    """
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "lock.txt"
        lock.write_text(previous, encoding="utf-8")
        command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
        command += ["--generate-hashes", "--no-header", "--no-annotate", "requirements.in"]
        subprocess.run([*command, "--output-file", str(lock), *options], cwd=ENVS, check=True)
        return lock.read_text(encoding="utf-8")


def main() -> None:
    """Write requirements.txt (all but torch) and torch-cuda.txt (torch and its libraries)."""
    base, cuda = ENVS / "requirements.txt", ENVS / "torch-cuda.txt"
    lock = compile_lock(base.read_text() + cuda.read_text(), sys.argv[1:])
    packages = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)
    accelerated = [package for package in packages if ACCELERATOR.match(package)]
    base.write_text(HEADER + "".join(p for p in packages if p not in accelerated))
    cuda.write_text(HEADER + "".join(accelerated))


if __name__ == "__main__":
    main()
