"""The runner `accelerate`: several GPUs of this machine, or several processes of its CPU.

Each process takes its share of every step, and their gradients are added up (`together.py`): a step
learns from the same pairs as with one process, and the adapter is the same but for rounding.
"""

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from storage.errors import BadInput, Refused
from tuning.child import Said
from tuning.runners.local import followed

CPU_PROCESSES = 2
"""Processes on a machine without a GPU where no number is set."""
MOST = 64
"""Processes at most: no machine has more GPUs, and a wrong number must not start thousands."""


class Accelerate:
    """Trains in `processes` processes at once (0: one for each GPU, two where there is none)."""

    name = "accelerate"

    def __init__(self, processes: int = 0) -> None:
        self._processes = processes

    def ready(self) -> str:
        """Raises BadInput for a number that cannot be, Refused where it would be one process."""
        if find_spec("accelerate") is None:
            raise Refused(
                "The runner accelerate needs the package accelerate: install it, or take local."
            )
        gpus = _gpus()
        if self._processes == 1 or not 0 <= self._processes <= MOST:
            raise BadInput(
                f"APPRENTICE_ACCELERATE_PROCESSES is {self._processes}: take 2 to {MOST}, or 0 "
                "for one on each GPU."
            )
        if gpus == 1 or 0 < gpus < self._processes:
            raise Refused(
                f"The runner accelerate wants a GPU for each process and this machine has {gpus}: "
                f"{'take the runner local' if gpus == 1 else 'set fewer processes'}."
            )
        count = self._count(gpus)
        where = f"{count} GPUs" if gpus else f"{count} processes on the CPU"
        return f"trains on {where} of this machine"

    def place(self, bundle: Path) -> str:
        """It stays here."""
        return ""

    def train(
        self,
        bundle: Path,
        out: Path,
        model_folder: Path,
        *,
        on_progress: Callable[[Said], None],
        cancelled: Callable[[], bool],
        options: Sequence[str] = (),
    ) -> Said:
        """See `Runner.train`."""
        self.ready()
        how = ["--parent", str(os.getpid()), "--processes", str(self._count(_gpus()))]
        work = [str(bundle), str(out), "--model", str(model_folder), *options]
        return followed(
            ["-m", "tuning.runners.launch", *how, "--", *work],
            out,
            on_progress=on_progress,
            cancelled=cancelled,
        )

    def _count(self, gpus: int) -> int:
        return self._processes or gpus or CPU_PROCESSES


def _gpus() -> int:
    import torch  # late: it takes seconds, and only this runner asks

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
