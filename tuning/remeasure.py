"""What an adapter trained elsewhere has lost, measured here: no figures are taken on trust.

Runs as a process of its own (`python -m tuning.remeasure`), since it needs torch; it computes what
`tuning.train` does at the end of a training.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from storage.errors import ApprenticeError
from tuning.bundle import Bundle, read_bundle
from tuning.child import Said, become_child, in_child

PROGRAM = ["-m", "tuning.remeasure"]


def remeasured(
    bundle: Path,
    adapter: Path,
    model_folder: Path,
    *,
    log: Path,
    on_progress: Callable[[Said], None] = lambda said: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, Any] | None:
    """The fields of `sentinel.Forgetting` for the bundle's general items; None if it has none.

    The adapter must have been verified; `log` takes what libraries print, `on_progress` gets
    {"note"}. Raises RoundCancelled when `cancelled()`, RoundFailed when the process dies or the
    adapter does not fit the base.
    """
    if not read_bundle(bundle).likelihood:
        return None
    command = [*PROGRAM, str(bundle), str(adapter), str(model_folder)]
    command += ["--parent", str(os.getpid())]

    def said(line: Said) -> None:
        if "note" in line:
            on_progress(line)

    return in_child(command, log, on_said=said, cancelled=cancelled)


def _measure(bundle: Bundle, adapter: Path, model_folder: Path, say: Callable[[Said], None]) -> Any:
    import torch
    from peft import PeftModel

    from tuning.likelihood import measure_forgetting
    from tuning.methods import load_base

    if bundle.config.threads:
        torch.set_num_threads(bundle.config.threads)
    model = PeftModel.from_pretrained(load_base(model_folder, bundle.config), adapter)
    return measure_forgetting(model, bundle.likelihood, say)


def main() -> int:
    """The child: JSON lines on standard output. 0, or 2 and why."""
    parser = argparse.ArgumentParser(prog="python -m tuning.remeasure", description=__doc__)
    for name in ("bundle", "adapter", "model"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--parent", type=int, required=True)
    given = parser.parse_args()
    say = become_child(given.parent)
    try:
        result = _measure(read_bundle(given.bundle), given.adapter, given.model, say)
    except ApprenticeError as error:
        say({"error": str(error)})
        return 2
    say({"result": result})
    return 0


if __name__ == "__main__":
    sys.exit(main())
