"""llama.cpp's own server in a process of its own, on a TCP port: for tests.

    python -m tests.assistant.engines.llama_cpp_server KEY MODEL.gguf ADAPTER.gguf...

It prints its address.
"""

import sys
from pathlib import Path

from assistant.engines.llama_server import _library, _lora, _params

CONTEXT, SLOTS = 512, 2


def main(key: str, gguf: str, *adapters: str) -> None:
    library = _library()
    params = _params(library, Path(gguf), threads=1, context=CONTEXT, slots=SLOTS)
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [key]
    params.cache_ram_mib = 64  # prompts are remembered past their slot, as by `llama-server`
    # As `llama-server --lora A --lora B` starts: both are applied where a request says nothing.
    params.lora_adapters = [_lora(library, Path(path)) for path in adapters]
    server = library.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
