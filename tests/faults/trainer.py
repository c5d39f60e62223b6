"""A training as `tuning.run` does it, for a process that is forked with its libraries read."""

import os
import resource
import sys
from pathlib import Path

from tuning.run import main


def train_until_the_end(bundle: Path, out: Path, model: Path, spare: int | None = None) -> None:
    """Goes on from what is in `out`; what it says goes beside it, line by line.

    It may take `spare` bytes more than what its libraries hold; None: as many as there are.
    """
    if spare is not None:
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + spare, resource.RLIM_INFINITY))
    out.mkdir(parents=True, exist_ok=True)
    os.dup2(os.open(out / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 1)
    sys.exit(main([str(bundle), str(out), "--model", str(model), "--resume"]))
