"""`accelerate launch` as a child of the server: it starts the training processes and ends them.

`python -m tuning.runners.launch --parent PID --processes N -- BUNDLE OUT --model FOLDER ...`. The
processes write to this one's standard output themselves; of their deaths this one tells. They die
with it, and it with its parent.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tuning.child import become_child

CONFIG = {
    "compute_environment": "LOCAL_MACHINE",
    "distributed_type": "MULTI_GPU",
    "num_machines": 1,
    "machine_rank": 0,
    "main_training_function": "main",
    "mixed_precision": "no",
    "use_cpu": False,
    "debug": False,
}
"""Instead of the user's own default file, which may ask for other things. "MULTI_GPU" is how it
calls processes beside each other: its CPU launcher wants MPI. Without a GPU they find that out."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Launches the training and waits for it; says {"death": exit code} of a process that died."""
    parser = argparse.ArgumentParser(prog="python -m tuning.runners.launch", description=__doc__)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("work", nargs="+", help="what `python -m tuning.run` takes")
    given = parser.parse_args(arguments)
    say = become_child(given.parent, beats=False, quiet=False)
    sys.stdout = sys.stderr  # the processes write to the pipe, and nobody between their lines
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    work = [*given.work, "--parent", str(os.getpid())]
    with tempfile.TemporaryDirectory(prefix="apprentice-") as folder:
        config = Path(folder) / "accelerate.json"
        config.write_text(json.dumps({**CONFIG, "num_processes": given.processes}))
        how = ["--config_file", str(config), "--main_process_port", "0"]
        parsed = launch_command_parser().parse_args([*how, "-m", "tuning.run", *work])
        parsed.signals_to_handle = "SIGINT"  # see become_child: SIGTERM is not for us
        try:
            launch_command(parsed)
        except ChildFailedError as error:
            # one that was killed is the cause where another says that it lost its connection
            codes = [failure.exitcode for failure in error.failures.values()]
            say({"death": min(codes, default=1)})
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
