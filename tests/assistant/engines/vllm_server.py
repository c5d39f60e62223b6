"""vLLM itself, on the processor, for the long form of the tests of the engine `remote`.

It has an environment of its own (`make vllm`), for its packages are of other versions than ours.
"""

import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import httpx
import psutil

from tests.assistant.engines.model_servers import KEY
from tests.assistant.engines.replica_servers import HEADERS, ReplicaServer

ROOT = Path(__file__).parents[3]
PYTHON = Path(os.environ.get("APPRENTICE_VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python"))
SPACE_GB = 1
"""Of keys and values; a server takes 2 GB beside it."""


class VllmServer(ReplicaServer):
    """One server with runtime LoRA, one thread; `kill` ends its three processes at once."""

    ready_s = 400.0
    places = 24
    """For adapters at once. With one in the last of them the base answers by it (vllm #48421)."""

    def start(self) -> None:
        """As docs/how-to/replicas.md says it, with less of everything."""
        with tempfile.NamedTemporaryFile(prefix="vllm-", suffix=".log", delete=False) as log:
            self.log = Path(log.name)
            self._process = subprocess.Popen(
                [
                    *(str(PYTHON), "-m", "vllm.entrypoints.openai.api_server"),
                    *("--model", str(self.base), "--served-model-name", "tiny"),
                    *("--host", self.host, "--port", str(self.port)),
                    *("--dtype", "float32", "--enforce-eager", "--max-model-len", "512"),
                    *("--enable-lora", "--max-lora-rank", "8", "--max-num-seqs", "8"),
                    *("--max-loras", str(self.places), "--max-cpu-loras", "24"),
                    "--enable-server-load-tracking",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_surroundings(),
            )

    def running(self) -> int:
        """Replies that it is saying now."""
        return int(httpx.get(f"{self.url}/load", headers=HEADERS, timeout=30).json()["server_load"])

    def kill(self) -> None:
        """As a machine's power."""
        if self._process is None:
            return
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(self._process.pid)
            for process in [first, *first.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self._process.wait()
        self._process = None
        self.log.unlink(missing_ok=True)


def _surroundings() -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "VLLM_API_KEY": KEY,
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_CPU_KVCACHE_SPACE": str(SPACE_GB),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }
