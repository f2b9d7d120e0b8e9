"""Kill a program at some moment, as a machine that fails does."""

import signal
import subprocess


def ended_before(process: subprocess.Popen[str], seconds: float) -> bool:
    """Kill a process after so many seconds; return whether it had ended by itself."""
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
        # It may have ended just before it was killed.
        assert code in (0, -signal.SIGKILL)
        return code == 0
    assert code == 0
    return True
