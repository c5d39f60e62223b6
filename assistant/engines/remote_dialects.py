"""How a remote server is asked: llama.cpp's own way, or OpenAI's with what vLLM adds to it.

llama.cpp is asked at `/completion`, as the one in this process is: its `/v1/completions` neither
counts tokens as it goes nor tells the likelihood of the token that ends a turn. It takes adapters
only when it starts. Everything else is asked at `/v1/completions`; adapters are loaded by vLLM's
`/v1/load_lora_adapter` (docs.vllm.ai, features/lora).
"""

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from assistant.engines.llamacpp import read_pieces, request_body
from assistant.engines.lora_gguf import adapter_gguf
from assistant.engines.protocol import (
    RUNNERS_UP,
    Chosen,
    EngineFinish,
    NotSupported,
    Piece,
    Sampling,
)
from assistant.engines.remote_place import RemotePlace
from assistant.engines.remote_server import AdapterGone, Event, RemoteServer, told_by
from assistant.tokens import ChatTokenizer
from storage.errors import BadInput
from storage.models import BaseModel
from tuning.adapter_files import CONFIG, WEIGHTS

FINISH: dict[str, EngineFinish] = {"stop": "stop", "length": "length"}
LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"
TOKEN_ID = "token_id:"  # noqa: S105
"""How vLLM writes a token when asked for ids."""


@dataclass(frozen=True)
class Version:
    """One adapter version under the name that only it has."""

    name: str
    folder: Path


def version_of(adapter_id: int, folder: Path) -> Version:
    """An adapter under a name that no other version has: what is computed under it stays true."""
    content = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        content.update(hashlib.sha256((folder / name).read_bytes()).digest())
    return Version(f"apprentice-{adapter_id}-{content.hexdigest()[:16]}", folder)


@dataclass(frozen=True)
class Asked:
    """One reply as it is asked for: by the base where `version` is None, `room` tokens at most."""

    prompt_ids: Sequence[int]
    version: Version | None
    sampling: Sampling
    room: int
    stop: Sequence[str]
    cancel: threading.Event


class Dialect(Protocol):
    """What a kind of server can do."""

    kind: str
    """The kind of server in words."""
    context: int | None
    """Tokens of prompt and reply together, where the server tells."""
    takes_adapters: bool
    """Whether an adapter can be loaded while it runs."""

    def load(self, version: Version) -> bool:
        """Make the server know the adapter; whether it was loaded by this call.

        Raises BadInput when it has no way to have it.
        """
        ...

    def unload(self, version: Version, within: float) -> None:
        """Have the server forget, in so many seconds, an adapter that `load` loaded."""
        ...

    def names(self, within: float) -> set[str]:
        """The adapters that the server has now, if it says so in `within` seconds."""
        ...

    def at(self, server: RemoteServer) -> "Dialect":
        """The same at another address, a balancer's before such servers; asks nothing."""
        ...

    def pieces(self, asked: Asked) -> Iterator[Piece]:
        """A reply; see `protocol.Engine.stream`. Raises AdapterGone before its first piece."""
        ...


def recognise(
    server: RemoteServer, place: RemotePlace, base: BaseModel, tokenizer: ChatTokenizer
) -> Dialect:
    """The way this server is asked, found by what it answers.

    Raises EngineFailed when it is away or is none, BadInput when it has no such model.
    """
    listed = _json_of(server, "/lora-adapters")
    if isinstance(listed, list):
        return _LlamaCppServer(server, place, base)
    models = _json_of(server, "/v1/models")
    try:
        # vLLM lists its adapters too, with the base as their parent.
        cards = {card["id"]: card for card in models["data"] if not card.get("parent")}
        name = place.model or next(iter(cards))
    except (LookupError, TypeError, AttributeError, StopIteration):
        raise server.rubbish("/v1/models lists none") from None
    if name not in cards:
        raise BadInput(
            f"The model server {server.shown} has no model {name!r} (it has "
            f"{', '.join(cards)}): correct APPRENTICE_REMOTE_MODEL."
        )
    return _Completions(server, place, cards[name], sorted(tokenizer.end_ids))


def same_tokens(server: RemoteServer, place: RemotePlace, tokenizer: ChatTokenizer) -> bool | None:
    """Whether the server cuts text into the same tokens; None where it has no `/tokenize`."""
    text = "List 12 orders of 2026-11: Straße, ça va? 日本語 😀\n\tSELECT  total FROM sales_orders;"
    asked = {"content": text, "add_special": False, "parse_special": False}  # llama.cpp
    asked |= {"prompt": text, "add_special_tokens": False}  # vLLM
    asked |= {"model": place.model} if place.model else {}
    response = server.ask("POST", "/tokenize", asked)
    try:
        return list(response.json()["tokens"]) == tokenizer.encode(text)
    except (ValueError, LookupError, TypeError):
        return None


class _LlamaCppServer:
    """See `Dialect`."""

    kind, takes_adapters = "llama.cpp", False

    def __init__(self, server: RemoteServer, place: RemotePlace, base: BaseModel) -> None:
        self._server, self._place, self._base = server, place, base
        told = _json_of(server, "/props")
        settings = told.get("default_generation_settings") if isinstance(told, dict) else None
        self.context: int | None = settings.get("n_ctx") if settings else None

    def load(self, version: Version) -> bool:
        """See `Dialect`. The adapter must be among those that the server was started with."""
        file = self._place.seen(adapter_gguf(version.folder, self._base.folder))
        if self._index(version, self._listed()) is None:
            raise BadInput(
                f"The llama.cpp server {self._server.shown} does not have this adapter and takes "
                f"adapters only when it starts: start it with --lora {file} (or a copy of that "
                f"file named {version.name}.gguf)."
            )
        return False

    def unload(self, version: Version, within: float) -> None:
        """Nothing: the server keeps what it was started with."""

    def names(self, within: float) -> set[str]:
        """See `Dialect`; by their files."""
        return {Path(one["path"]).stem for one in self._listed()}

    def at(self, server: RemoteServer) -> Dialect:
        """See `Dialect`."""
        return _LlamaCppServer(server, self._place, self._base)

    def pieces(self, asked: Asked) -> Iterator[Piece]:
        """See `Dialect`. Which number an adapter has is asked each time: a restart changes it."""
        version, listed = asked.version, self._listed()
        wanted = None if version is None else self._index(version, listed)
        if version is not None and wanted is None:
            raise AdapterGone(f"The llama.cpp server {self._server.shown} lost {version.name}.")
        # Every scale is named: those that are not are applied as the server was started with them.
        scales = [{"id": one["id"], "scale": float(one["id"] == wanted)} for one in listed]
        body = {
            **request_body(asked.prompt_ids, asked.sampling, asked.room, asked.stop),
            "lora": scales,
            "stream": True,
            # What it remembers of prompts does not say which adapter read them: 8 of 54 replies
            # were wrong with it, none without.
            "cache_prompt": not listed,
        }
        events = self._server.events("/completion", body, lambda event: bool(event.get("stop")))
        return read_pieces(events, asked.cancel)

    def _listed(self) -> list[dict[str, Any]]:
        listed = _json_of(self._server, "/lora-adapters")
        if not isinstance(listed, list):
            raise self._server.rubbish("/lora-adapters is no list")
        return listed

    def _index(self, version: Version, listed: list[dict[str, Any]]) -> int | None:
        file = self._place.seen(adapter_gguf(version.folder, self._base.folder))
        for one in listed:
            if one["path"] == file or Path(one["path"]).name == f"{version.name}.gguf":
                return int(one["id"])
        return None


class _Completions:
    """See `Dialect`."""

    def __init__(
        self, server: RemoteServer, place: RemotePlace, card: dict[str, Any], end_ids: list[int]
    ) -> None:
        self._server, self._place, self._end_ids = server, place, end_ids
        self._model = str(card["id"])
        self.context: int | None = card.get("max_model_len")
        told = _json_of(server, "/version")
        version = told.get("version") if isinstance(told, dict) else None
        self._vllm = card.get("owned_by") == "vllm" or version is not None
        self.kind = f"vLLM {version or ''}".strip() if self._vllm else "OpenAI-compatible"
        # Where there is such a thing it refuses, for there is nothing to load.
        self.takes_adapters = server.ask("POST", LOAD, {}).status_code not in (404, 405)

    def load(self, version: Version) -> bool:
        """See `Dialect`. One with these very files may be there from before."""
        if not self.takes_adapters:
            raise BadInput(
                f"The model server {self._server.shown} loads no adapters: start vLLM with "
                "--enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True."
            )
        path = self._place.seen(version.folder)
        response = self._server.ask("POST", LOAD, {"lora_name": version.name, "lora_path": path})
        words = told_by(response)
        if not response.is_success and not (response.status_code == 400 and "already" in words):
            raise BadInput(
                f"The model server {self._server.shown} does not load {version.name} from {path}: "
                f"{words}"
            )
        return response.is_success

    def unload(self, version: Version, within: float) -> None:
        """See `Dialect`."""
        self._server.ask("POST", UNLOAD, {"lora_name": version.name}, within=within)

    def names(self, within: float) -> set[str]:
        """See `Dialect`. vLLM lists its adapters beside the base, with that as their parent."""
        listed = self._server.ask("GET", "/v1/models", within=within)
        try:
            return {str(card["id"]) for card in listed.json()["data"] if card.get("parent")}
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise self._server.rubbish(error) from None

    def at(self, server: RemoteServer) -> Dialect:
        """See `Dialect`."""
        other = copy(self)
        other._server = server
        return other

    def pieces(self, asked: Asked) -> Iterator[Piece]:
        """See `Dialect`. Raises NotSupported for what would be passed over without a word."""
        version, sampling = asked.version, asked.sampling
        if not self._vllm and (sampling.schema or sampling.repeat_penalty != 1):
            raise NotSupported(
                f"The model server {self._server.shown} is not known to keep to a format or a "
                "repeat_penalty: set strict_format=false and repeat_penalty=1, or serve by vLLM."
            )
        body = {
            "model": version.name if version else self._model,
            "prompt": list(asked.prompt_ids),
            "max_tokens": asked.room,
            "temperature": max(0.0, sampling.temperature),
            "top_p": sampling.top_p,
            "stop": [text for text in asked.stop if text],
            "stream": True,
            "stream_options": {"include_usage": True},
            **({} if sampling.seed is None else {"seed": sampling.seed}),
            **(self._more(sampling) if self._vllm else {}),
        }
        events = self._server.events("/v1/completions", body, lambda one: bool(_finish(one)))
        return _completion_pieces(events, asked.cancel)

    def _more(self, sampling: Sampling) -> dict[str, Any]:
        """What only vLLM knows; what is not named comes from the model's generation_config."""
        more: dict[str, Any] = {
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": sampling.repeat_penalty,  # over all of prompt and reply there
            "stop_token_ids": self._end_ids,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        }
        if sampling.runners_up:
            more |= {"logprobs": 1 + RUNNERS_UP, "return_tokens_as_token_ids": True}
        if sampling.schema:
            more |= {"structured_outputs": {"json": json.loads(sampling.schema)}}
        return more


def _completion_pieces(events: Iterator[Event], cancel: threading.Event) -> Iterator[Piece]:
    """The events of `/v1/completions` to pieces. Counted by usage, or a token an event."""
    counted = told = 0
    ended: EngineFinish | None = None
    try:
        for event in events:
            if cancel.is_set():
                ended = None
                break
            choice = next(iter(event.get("choices") or ()), None)
            usage = event.get("usage") or {}
            counted = usage.get("completion_tokens") or counted + bool(choice and choice["text"])
            if choice is None:
                continue
            reason = _finish(event)
            ended = FINISH.get(reason, "interrupted") if reason else ended
            new, told = counted - told, counted
            if choice["text"] or new:
                yield Piece(choice["text"], new, None, _chosen(choice.get("logprobs")))
    finally:
        events.close()  # type: ignore[attr-defined]
    yield Piece("", max(0, counted - told), ended or "interrupted")


def _finish(event: Event) -> str | None:
    choices = event.get("choices")
    return choices[0].get("finish_reason") if choices else None


def _chosen(likely: dict[str, Any] | None) -> tuple[Chosen, ...]:
    """Of vLLM's likelihoods; none where tokens are told by their text, which says too little."""
    found = []
    for token, log_prob, top in zip(
        *((likely or {}).get(key) or () for key in ("tokens", "token_logprobs", "top_logprobs")),
        strict=False,
    ):
        if not all(one.startswith(TOKEN_ID) for one in (token, *(top or ("",)))):
            return ()
        near = sorted(top.items(), key=lambda one: -one[1])
        others = [(_id(one), chance) for one, chance in near if one != token]
        found.append(Chosen(_id(token), log_prob, tuple(others[:RUNNERS_UP])))
    return tuple(found)


def _id(token: str) -> int:
    return int(token.removeprefix(TOKEN_ID))


def _json_of(server: RemoteServer, path: str) -> Any:
    """What the server says there, or None."""
    response = server.ask("GET", path)
    try:
        return response.json() if response.is_success else None
    except ValueError:
        return None
