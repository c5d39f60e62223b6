"""A model server that loads adapters while it runs, as vLLM does: for tests, in its own process.

It speaks the part of vLLM's HTTP API that the engine `remote` uses, over `TorchPeft` and a real
model, and reads adapters from the paths it is told. vLLM itself is asked by `test_vllm.py`.

    python -m tests.assistant.engines.lora_server BASE_FOLDER KEY     (prints its address)

With `mixes` behind it, it answers the base's questions by the newest adapter while others are
answered: as vLLM 0.32 does on a processor.
"""

import json
import socket
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.concurrency import iterate_in_threadpool

from assistant.engines.protocol import RUNNERS_UP, Piece, Sampling
from assistant.engines.torch_peft import TorchPeft
from assistant.tokens import ChatTokenizer
from storage.errors import ApprenticeError
from storage.models import BaseModel

BASE = "tiny"
CONTEXT = 512


class Models:
    """The base and the adapters by their names."""

    def __init__(self, folder: Path) -> None:
        base = BaseModel(BASE, folder, None, "f")
        self.engine = TorchPeft(base, threads=1, context=CONTEXT)
        self.tokenizer = ChatTokenizer(folder)
        self.ids: dict[str, int] = {}
        self.loaded = 0
        self.running = 0
        self.made = 0  # tokens of the last reply
        self.mixes = False

    def weights(self, name: str) -> int | None:
        """The adapter that a question to `name` is answered by."""
        mixed = self.mixes and name == BASE and self.running
        return max(self.ids.values()) if mixed else self.ids.get(name)


def refusal(message: str, status: int) -> JSONResponse:
    error = {"message": message, "type": "BadRequestError", "param": None, "code": status}
    return JSONResponse({"error": error}, status)


def served(models: Models, key: str) -> FastAPI:
    def authenticate(request: Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {key}":
            raise HTTPException(401, "Unauthorized")

    app = FastAPI(dependencies=[Depends(authenticate)])

    @app.get("/version")
    def version() -> dict[str, str]:
        return {"version": "test"}

    @app.get("/load")
    def load() -> dict[str, int]:
        return {"running": models.running, "made": models.made}

    @app.get("/v1/models")
    def listed() -> dict[str, Any]:
        base = {"id": BASE, "owned_by": "vllm", "parent": None, "max_model_len": CONTEXT}
        taught = [{"id": name, "owned_by": "vllm", "parent": BASE} for name in models.ids]
        return {"object": "list", "data": [base, *taught]}

    @app.post("/tokenize")
    def tokenize(asked: dict[str, Any]) -> dict[str, Any]:
        return {"tokens": models.tokenizer.encode(asked["prompt"])}

    loads_adapters(app, models)
    completes(app, models)
    return app


def loads_adapters(app: FastAPI, models: Models) -> None:
    @app.post("/v1/load_lora_adapter")
    def load_adapter(asked: dict[str, str]) -> Response:
        if not asked.get("lora_name") or not asked.get("lora_path"):
            return refusal("Both 'lora_name' and 'lora_path' must be provided.", 400)
        name, path = asked["lora_name"], Path(asked["lora_path"])
        if name in models.ids:
            return refusal(f"The lora adapter '{name}' has already been loaded.", 400)
        if not path.is_dir():
            return refusal(f"Loading lora {name} failed: No adapter found for {path}", 404)
        try:
            models.loaded += 1
            models.engine.load(models.loaded, path)
        except ApprenticeError as error:
            return refusal(str(error), 500)
        models.ids[name] = models.loaded
        return PlainTextResponse(f"Success: LoRA adapter '{name}' added successfully.")

    @app.post("/v1/unload_lora_adapter")
    def unload_adapter(asked: dict[str, str]) -> Response:
        name = asked["lora_name"]
        if name not in models.ids:
            return refusal(f"The lora adapter '{name}' cannot be found.", 404)
        models.engine.unload(models.ids.pop(name))
        return PlainTextResponse(f"Success: LoRA adapter '{name}' removed successfully.")


def completes(app: FastAPI, models: Models) -> None:
    @app.post("/v1/completions")
    def completions(asked: dict[str, Any], request: Request) -> Response:
        name = asked["model"]
        if name != BASE and name not in models.ids:
            return refusal(f"The model `{name}` does not exist.", 404)
        cancel = threading.Event()
        sampling = Sampling(
            asked["max_tokens"],
            asked["temperature"],
            asked["top_p"],
            asked.get("seed"),
            runners_up="logprobs" in asked,
            repeat_penalty=asked.get("repetition_penalty", 1.0),
            schema=schema_in(asked),
        )
        try:
            pieces = models.engine.stream(
                asked["prompt"], models.weights(name), sampling, asked["stop"], cancel
            )
        except ApprenticeError as error:
            return refusal(str(error), 400)
        said = streamed(models, request, name, pieces, cancel)
        return StreamingResponse(said, media_type="text/event-stream")


def schema_in(asked: dict[str, Any]) -> str | None:
    """The JSON Schema that a reply is to be held to, as text."""
    wanted = asked.get("structured_outputs")
    return json.dumps(wanted["json"]) if wanted else None


async def streamed(
    models: Models, request: Request, name: str, pieces: Any, cancel: threading.Event
) -> AsyncIterator[str]:
    models.running, models.made = models.running + 1, 0
    tokens = 0
    try:
        async for piece in iterate_in_threadpool(pieces):
            tokens += piece.tokens
            models.made = tokens
            if await request.is_disconnected():
                cancel.set()
            choice = {
                "index": 0,
                "text": piece.text,
                "logprobs": likelihoods(piece),
                "finish_reason": piece.finish_reason,
            }
            event = {"model": name, "choices": [choice], "usage": {"completion_tokens": tokens}}
            yield f"data: {json.dumps(event, ensure_ascii=False)}\n\n"
        last = {"choices": [], "usage": {"completion_tokens": tokens}}
        yield f"data: {json.dumps(last)}\n\n"
        yield "data: [DONE]\n\n"
    finally:
        cancel.set()
        models.running -= 1


def likelihoods(piece: Piece) -> dict[str, Any] | None:
    if not piece.chosen:
        return None
    return {
        "tokens": [f"token_id:{one.token}" for one in piece.chosen],
        "token_logprobs": [one.log_prob for one in piece.chosen],
        "top_logprobs": [
            {f"token_id:{token}": chance for token, chance in [(one.token, one.log_prob), *others]}
            for one in piece.chosen
            for others in [one.others[:RUNNERS_UP]]
        ],
    }


def serve(folder: str, key: str, host: str, port: int) -> None:
    """At a place of its own, in this process, until it is killed."""
    app = served(Models(Path(folder)), key)
    with socket.create_server((host, port)) as listening:
        uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listening])


def main(folder: str, key: str, *more: str) -> None:
    models = Models(Path(folder))
    models.mixes = "mixes" in more
    app = served(models, key)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listening])


if __name__ == "__main__":
    main(*sys.argv[1:])
