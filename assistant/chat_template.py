"""A base model's own chat template: messages to text, whatever its family makes of a system role.

A template is somebody else's program, so it runs in Jinja's sandbox.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from storage.errors import BadInput
from storage.records import ChatMessage

PROBE = "zebra"
"""An instruction that no template says of itself."""


class ChatTemplate:
    """A compiled template. Safe for many threads."""

    def __init__(self, source: str) -> None:
        """Compile it. Raises BadInput where it cannot be read."""
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", _Generation],
        )
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        try:
            self._template = environment.from_string(source)
        except TemplateError as error:
            raise BadInput(f"The base model's chat template cannot be read: {error}.") from error
        self.takes_system = self._takes_system()
        """Whether it says what a system message holds; else the first user turn does."""

    def render(
        self, messages: Sequence[ChatMessage], *, prompt: bool, names: Mapping[str, str]
    ) -> str:
        """The text of `messages`, with the generation prompt where `prompt` is set.

        `names` are special tokens by their key (`bos_token`). Raises BadInput when the template
        refuses the messages.
        """
        said = messages if self.takes_system else _folded(messages)
        try:
            return self._said(said, prompt, names)
        except TemplateError as error:
            raise BadInput(
                f"The base model's chat template refuses these messages ({error}): "
                "choose another base model or start a new conversation."
            ) from error

    def _said(self, messages: Sequence[ChatMessage], prompt: bool, names: Mapping[str, str]) -> str:
        # Qwen3 and SmolLM3 think aloud unless this is said, and every reply would show it.
        return self._template.render(
            messages=messages, add_generation_prompt=prompt, enable_thinking=False, **names
        )

    def _takes_system(self) -> bool:
        """Gemma 2 raises an error for a system role; Phi-3's first templates leave it out."""
        messages: list[ChatMessage] = [
            {"role": "system", "content": PROBE},
            {"role": "user", "content": "a"},
        ]
        names = {key: "" for key in ("bos_token", "eos_token", "pad_token")}
        try:
            return PROBE in self._said(messages, True, names)
        except TemplateError:
            return False


class _Generation(Extension):
    """`{% generation %}` marks an assistant's words for trainers: what is inside is said as is."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """What stands up to `{% endgeneration %}`."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _folded(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """The system messages' words before those of the first user, as Gemma's makers advise."""
    system = [one["content"] for one in messages if one["role"] == "system"]
    rest = [one for one in messages if one["role"] != "system"]
    first = next((at for at, one in enumerate(rest) if one["role"] == "user"), None)
    if system and first is not None:
        words = "\n\n".join([*system, rest[first]["content"]])
        rest[first] = {"role": "user", "content": words}
    return rest


def _raise_exception(message: str) -> None:
    raise TemplateError(message)
