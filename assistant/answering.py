"""Answers for a round, made outside the server process by the engine that will serve.

`ChildAnswerer` starts `python -m assistant.answering` at the lowest priority and speaks JSON lines
with it. The child opens an engine of its own, so neither a crash nor a swap touches the chat.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from assistant.decoding import FREE, Decoding
from assistant.engines.remote_place import RemotePlace, remote_place
from assistant.likeliest import GREEDY, Approved, Weighing, stream
from assistant.settings import Settings
from assistant.tokens import ChatTokenizer
from storage.errors import ApprenticeError
from storage.models import BaseModel
from tuning.child import step_back

AT_ONCE = 4
"""Requests in flight, the slots of the CPU engine: 1.4 times the tokens a second of one."""

LEAVING_S = 10.0
"""A child that is not done with a model server by then is killed as any other."""


class AnsweringFailed(ApprenticeError):
    """The evaluation process ended before it had answered."""


class ChildAnswerer:
    """Answers from a child process; a context manager that ends the child.

    With `on_cpu` it does not see a GPU; `at_once` requests share a computation.
    """

    def __init__(
        self,
        base: BaseModel,
        settings: Settings,
        log_file: Path,
        *,
        on_cpu: bool = False,
        at_once: int = AT_ONCE,
    ) -> None:
        self._hidden = {"CUDA_VISIBLE_DEVICES": ""} if on_cpu else {}
        self._spec = {
            "base": asdict(base),
            "engine": settings.engine,
            "threads": settings.threads,
            "context": settings.context,
            "at_once": at_once,
            "remote": asdict(remote_place(settings)) if settings.engine == "remote" else None,
        }
        self._log = log_file
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> "ChildAnswerer":
        with self._log.open("a") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "assistant.answering"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
                env={
                    **os.environ,
                    "HF_HUB_OFFLINE": "1",
                    "TOKENIZERS_PARALLELISM": "false",
                    **self._hidden,
                },
            )
        self._send(self._spec)
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._child is not None and self._child.stdin is not None
        if self._spec["remote"]:  # it unloads there what it loaded
            with suppress(BrokenPipeError, subprocess.TimeoutExpired):
                self._child.stdin.close()
                self._child.wait(LEAVING_S)
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # what it was not sent any more
                    pipe.close()

    def answer(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        adapter: tuple[int, Path] | None,
        max_tokens: int,
        how: Weighing = GREEDY,
        approved: Sequence[Approved] = (),
        decoding: Sequence[Decoding] = (),
        temperature: float = 0.0,
        seeds: Sequence[int] = (),
        on_answer: Callable[[int], None] = lambda done: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[str]:
        """One answer per prompt (token ids), in order; greedy at temperature 0.

        `adapter` is (id, folder) or None for the base; for `how` see `likeliest`, `approved` is
        its `approved` of each prompt; `decoding`, one a prompt too, is FREE where it is not given.
        At another temperature `seeds`, one a prompt, say how chance falls. Raises AnsweringFailed
        when the child dies.
        """
        for number, prompt in enumerate(prompts):
            self._send(
                {
                    "number": number,
                    "prompt_ids": list(prompt),
                    "adapter_id": adapter[0] if adapter else None,
                    "folder": str(adapter[1]) if adapter else None,
                    "max_tokens": max_tokens,
                    "how": asdict(replace(how, approved=approved[number]) if approved else how),
                    "decoding": asdict(decoding[number] if decoding else FREE),
                    "temperature": temperature,
                    "seed": seeds[number] if seeds else None,
                }
            )
        answers: dict[int, str] = {}
        while len(answers) < len(prompts):
            if cancelled():
                raise AnsweringFailed("The round was cancelled while it was evaluated.")
            said = self._receive()
            answers[said["number"]] = said["answer"]
            on_answer(len(answers))
        return [answers[number] for number in range(len(prompts))]

    def probe(
        self, prompts: Sequence[Sequence[int]], adapter: tuple[int, Path]
    ) -> dict[str, Any] | None:
        """What the engine says by this adapter, as `proving.probe` has it, and its name, `engine`.

        None for an engine that tells no probabilities. Raises AnsweringFailed.
        """
        asked = {"number": 0, "probe": [list(ids) for ids in prompts]}
        self._send({**asked, "adapter_id": adapter[0], "folder": str(adapter[1])})
        found: dict[str, Any] | None = self._receive()["probe"]
        return found

    def _send(self, value: dict[str, Any]) -> None:
        assert self._child is not None and self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(value, default=str) + "\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            raise AnsweringFailed(self._last_words()) from None

    def _receive(self) -> dict[str, Any]:
        assert self._child is not None and self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise AnsweringFailed(self._last_words())
        said: dict[str, Any] = json.loads(line)
        if "error" in said:
            raise AnsweringFailed(said["error"])
        return said

    def _last_words(self) -> str:
        assert self._child is not None
        code = self._child.wait()
        return (
            f"The evaluation process ended with code {code}; its last words are in {self._log}. "
            "Start the round again."
        )


def main() -> int:
    """The child: read the spec, open the engine, answer until standard input ends."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print goes to the log, never between our lines
    step_back()
    spec = json.loads(sys.stdin.readline())
    try:
        _answer_all(spec, out)
    except ApprenticeError as error:
        _say(out, {"error": f"The evaluation could not answer: {error}"})
        return 1
    return 0


def _answer_all(spec: dict[str, Any], out: IO[str]) -> None:
    engines = _Engines(spec)
    writing = threading.Lock()
    try:
        with ThreadPoolExecutor(spec["at_once"]) as pool:
            for line in sys.stdin:
                asked = json.loads(line)
                engine = engines.of(asked["folder"])
                if asked["adapter_id"] is not None:
                    engine.load(asked["adapter_id"], Path(asked["folder"]))
                if asked.get("probe"):
                    pool.submit(_probe_one, engine, asked, out, writing)
                    continue
                pool.submit(_answer_one, engine, asked, engines.decode, out, writing)
    finally:
        engines.close()


class _Engines:
    """The engine that serves, and beside it, once asked for, the one it would open for others."""

    def __init__(self, spec: dict[str, Any]) -> None:
        from assistant.engines.choose import judging_engine

        self._base = _base(spec["base"])
        self._remote = RemotePlace(**spec["remote"]) if spec["remote"] else None
        engine = judging_engine(self._base, spec["engine"], self._remote)
        self._spec = {**spec, "engine": engine}
        self.decode = ChatTokenizer(self._base.folder).decode
        self._first = self._open(engine)
        self._beside: dict[str, Any] = {}

    def of(self, folder: str | None) -> Any:
        """The engine that would serve the adapter in `folder`; None is the base."""
        from assistant.engines.choose import engine_beside
        from tuning.adapter_files import adapter_kind

        if folder is None or self._spec["engine"] != "auto":
            return self._first
        name = engine_beside(self._first.name, adapter_kind(Path(folder)))
        if name is None:
            return self._first
        if name not in self._beside:
            self._beside[name] = self._open(name)
        return self._beside[name]

    def close(self) -> None:
        """Stop them all."""
        for engine in (self._first, *self._beside.values()):
            engine.close()

    def _open(self, name: str) -> Any:
        from assistant.engines.choose import open_engine

        return open_engine(
            self._base,
            engine=name,
            threads=self._spec["threads"],
            context=self._spec["context"],
            at_once=self._spec["at_once"],
            remote=self._remote,
        )


def _answer_one(
    engine: Any,
    asked: dict[str, Any],
    decode: Callable[[Sequence[int]], str],
    out: IO[str],
    writing: threading.Lock,
) -> None:
    from assistant.engines.protocol import Sampling

    said: dict[str, Any] = {"number": asked["number"]}
    decoding = asked["decoding"]
    try:
        pieces = stream(
            engine,
            asked["prompt_ids"],
            asked["adapter_id"],
            Sampling(
                asked["max_tokens"],
                asked["temperature"],
                seed=asked["seed"],
                repeat_penalty=decoding["repeat_penalty"],
                schema=decoding["schema"],
            ),
            threading.Event(),
            stop=decoding["stop"],
            how=_weighing(asked["how"]),
            decode=decode,
        )
        said["answer"] = "".join(piece.text for piece in pieces).strip()
    except Exception as error:  # noqa: BLE001  the edge of the process: told to the parent
        said["error"] = f"The evaluation could not answer: {error}"
    with writing:
        _say(out, said)


def _probe_one(engine: Any, asked: dict[str, Any], out: IO[str], writing: threading.Lock) -> None:
    from assistant.engines.protocol import NotSupported
    from assistant.proving import probe

    said: dict[str, Any] = {"number": asked["number"], "probe": None}
    try:
        found = probe(engine, asked["adapter_id"], asked["probe"])
        said["probe"] = {**found, "engine": engine.name}
    except NotSupported:
        pass
    except Exception as error:  # noqa: BLE001  the edge of the process: told to the parent
        said["error"] = f"The adapter could not be asked: {error}"
    with writing:
        _say(out, said)


def _say(out: IO[str], said: dict[str, Any]) -> None:
    out.write(json.dumps(said) + "\n")
    out.flush()


def _weighing(given: dict[str, Any]) -> Weighing:
    approved = tuple((tuple(ids), nats) for ids, nats in given["approved"])
    return Weighing(**{**given, "approved": approved})


def _base(given: dict[str, Any]) -> BaseModel:
    gguf = given["gguf"]
    return BaseModel(
        **{**given, "folder": Path(given["folder"]), "gguf": Path(gguf) if gguf else None}
    )


if __name__ == "__main__":
    sys.exit(main())
