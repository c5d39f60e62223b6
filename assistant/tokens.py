"""Messages to token ids, by the base model's own tokenizer and chat template.

The only place where a prompt becomes ids, for chat, training and evaluation alike. What people
typed never becomes a special token: `<|im_end|>` in a question stays eleven characters of text.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from assistant.chat_template import ChatTemplate
from storage.errors import BadInput
from storage.models import chat_template
from storage.records import ChatMessage

PRIVATE_USE = range(0xE000, 0xF8FF)
"""Characters with no meaning in Unicode: one that no message holds marks what was typed."""

USUAL_ENDS = {
    *("<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<|eot_id|>", "<|end|>", "</s>"),
    *("<end_of_turn>", "<eos>"),
}
"""Special tokens that end a reply in any model that has them; llama.cpp goes by names too."""

BROKEN = "\ufffd"
"""What a decoder puts for bytes that are no whole character."""

LONGEST_GROUP = 64
"""Ids decoded together at most, when a model says nothing but bytes that are no characters."""


class ChatTokenizer:
    """The tokenizer and chat template in a base model's folder. Safe for many threads."""

    def __init__(self, folder: Path) -> None:
        """Read them. Raises BadInput when the folder has no tokenizer.json or chat template."""
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise BadInput(f"{folder} has no tokenizer.json: it is not a base model's folder.")
        described = json.loads(path.read_text(encoding="utf-8"))
        self._whole = Tokenizer.from_str(json.dumps(described))
        ordinary = [token for token in described["added_tokens"] if _is_space(token)]
        # The same tokenizer without its special tokens cannot make one out of text.
        self._plain = Tokenizer.from_str(json.dumps({**described, "added_tokens": ordinary}))
        self.by_bytes = "ByteLevel" in json.dumps(described.get("decoder"))
        """Whether every token is a string of bytes, put together without regard to the others."""
        self._known: dict[int, int] = {}
        self._special = {
            token["content"]: token for token in described["added_tokens"] if token not in ordinary
        }
        self._special_pattern = _any_of(self._special)
        self._settings = _read_json(folder / "tokenizer_config.json")
        self._template = ChatTemplate(chat_template(folder))
        self._end_of_turn = self._find_end_of_turn()
        usual = {self._special[name]["id"] for name in USUAL_ENDS & self._special.keys()}
        ends = _declared_ends(folder) | usual | {self._end_of_turn, self._id_of("eos_token")}
        self.end_ids: frozenset[int] = frozenset(end for end in ends if end is not None)
        """Ids that end a reply: end of text and end of turn."""

    @property
    def size(self) -> int:
        """How many ids there are, special ones included."""
        return int(self._whole.get_vocab_size(with_added_tokens=True))

    def render(self, messages: Sequence[ChatMessage]) -> list[int]:
        """The ids of `messages` with the generation prompt, as the model reads them.

        Raises BadInput when the chat template refuses the messages (two users in a row, ...).
        """
        return self._ids(messages, generation_prompt=True)

    def encode(self, text: str) -> list[int]:
        """The ids of plain text; special tokens in it are text."""
        # equal ids are one object: 28 bytes for each token of a round's rows otherwise
        known = self._known
        return [
            known.setdefault(id, id)
            for id in self._plain.encode(text, add_special_tokens=False).ids
        ]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, without special tokens; bytes of half a character become U+FFFD."""
        return str(self._whole.decode(list(ids), skip_special_tokens=True))

    def count(self, text: str) -> int:
        """How many tokens `text` is."""
        return len(self.encode(text))

    def completion_ids(self, text: str) -> list[int]:
        """What a model has to say to answer `text`: its ids and the end of the turn."""
        return [*self.encode(text), self._end_of_turn]

    def _ids(self, messages: Sequence[ChatMessage], *, generation_prompt: bool) -> list[int]:
        """Split the rendered text at the template's own special tokens, encode between them.

        The stretch between two of them is encoded as one text, so ordinary messages get the very
        ids that the usual tokenisation of the whole text gives.
        """
        mark = _unused_character(messages)
        rendered = self._rendered(messages, mark, generation_prompt)
        ids: list[int] = []
        strip_next = False
        for index, part in enumerate(self._special_pattern.split(rendered)):
            token = self._special[part] if index % 2 else None
            if token is not None:
                ids.append(token["id"])
                strip_next = token["rstrip"]
            else:
                text = part.lstrip() if strip_next else part
                ids.extend(self.encode(self._unmarked(text, mark)))
        return ids

    def _rendered(self, messages: Sequence[ChatMessage], mark: str, prompt: bool) -> str:
        names = {key: self._named(key) or "" for key in ("bos_token", "eos_token", "pad_token")}
        marked: list[ChatMessage] = [
            {"role": message["role"], "content": self._marked(message["content"], mark)}
            for message in messages
        ]
        return self._template.render(marked, prompt=prompt, names=names)

    def _marked(self, text: str, mark: str) -> str:
        """`text` with every typed special token replaced by mark, its number, mark."""
        numbers = {content: index for index, content in enumerate(self._special)}
        return self._special_pattern.sub(lambda hit: f"{mark}{numbers[hit[0]]}{mark}", text)

    def _unmarked(self, text: str, mark: str) -> str:
        contents = list(self._special)
        return re.sub(f"{mark}(\\d+){mark}", lambda hit: contents[int(hit[1])], text)

    def _find_end_of_turn(self) -> int:
        """The special token that the template puts after an assistant's words."""
        messages: list[ChatMessage] = [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "zebra"},
        ]
        rendered = self._rendered(messages, chr(PRIVATE_USE[0]), prompt=False)
        found = self._special_pattern.search(rendered, rendered.rindex("zebra"))
        token = self._special[found[0]]["id"] if found else self._id_of("eos_token")
        if token is None:
            raise BadInput("The base model's chat template ends no turn: it cannot be served.")
        return int(token)

    def _named(self, key: str) -> str | None:
        named = self._settings.get(key)
        return named.get("content") if isinstance(named, dict) else named

    def _id_of(self, key: str) -> int | None:
        named = self._named(key)
        return None if named is None else self._whole.token_to_id(named)


class PieceDecoder:
    """Ids of one reply to text, a piece at a time; half a character waits for its other half."""

    def __init__(self, tokenizer: ChatTokenizer) -> None:
        self._tokenizer = tokenizer
        self._before: list[int] = []  # the last group told: how a token is spelt depends on it
        self._group: list[int] = []
        self._told = 0

    def push(self, ids: Sequence[int]) -> str:
        """The text that `ids` add, whole characters only."""
        self._group.extend(ids)
        text = self._tokenizer.decode(self._before + self._group)
        if not text.endswith(BROKEN) or len(self._group) > LONGEST_GROUP:
            new = text[self._told :]
            self._before, self._group = self._group, []
            self._told = len(self._tokenizer.decode(self._before))
            return new
        # Byte-level tokenizers show half a character as one sign, so all before it is settled;
        # others show a whole run of bytes as broken until it is complete.
        settled = max(len(text) - 1, self._told) if self._tokenizer.by_bytes else self._told
        new, self._told = text[self._told : settled], settled
        return new

    def flush(self) -> str:
        """What is still held back, at the end of a reply."""
        text = self._tokenizer.decode(self._before + self._group)
        new, self._told = text[self._told :], len(text)
        return new


def _is_space(token: dict[str, Any]) -> bool:
    """Whether an added token is mere white space, as Gemma's runs of newlines are."""
    return not token["special"] and not token["content"].replace("\u2581", " ").strip()


def _any_of(contents: dict[str, Any]) -> "re.Pattern[str]":
    longest_first = sorted(contents, key=len, reverse=True)
    return re.compile("(" + ("|".join(map(re.escape, longest_first)) or "(?!)") + ")")


def _unused_character(messages: Sequence[ChatMessage]) -> str:
    typed = set().union(*(message["content"] for message in messages)) if messages else set()
    return next(chr(code) for code in PRIVATE_USE if chr(code) not in typed)


def _declared_ends(folder: Path) -> set[int]:
    found: list[int | None] = []
    for name in ("config.json", "generation_config.json"):
        declared = _read_json(folder / name).get("eos_token_id")
        found += declared if isinstance(declared, list) else [declared]
    return {end for end in found if end is not None}


def _read_json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
