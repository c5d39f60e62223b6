"""The chat page's texts in the reader's language; `ui/words.toml` has every one of them."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gradio as gr

LANGUAGES = ("en", "de", "es", "fr")
_TABLE = Path(__file__).parent / "ui" / "words.toml"


@dataclass(frozen=True)
class Words:
    """The texts in one language, one of LANGUAGES."""

    language: str = "en"

    def __call__(self, key: str, **values: object) -> str:
        """The text called so, with its `{names}` filled in."""
        return table()[key][self.language].format(**values)

    def of(self, sentence: str) -> str:
        """A fixed English sentence that came from elsewhere; as it is where the table lacks it."""
        key = _keys().get(sentence)
        return self(key) if key else sentence


ENGLISH = Words()


def words_for(request: Any) -> Words:
    """In the first language that the browser names; English where the page does not speak it.

    Only the first counts, because Gradio's own texts follow that one.
    """
    first = (request.headers.get("accept-language") or "").split(",")[0].split(";")[0]
    language = first.split("-")[0].strip().lower()
    return Words(language if language in LANGUAGES else "en")


def in_any(key: str) -> frozenset[str]:
    """What the text is in each language."""
    return frozenset(table()[key].values())


def fixed(key: str) -> Any:
    """The text for a component that never changes it: the browser picks the language."""
    import gradio as gr  # here: commands name reasons without a page

    return gr.I18n()(key)


def browser_words() -> "gr.I18n":
    """What `fixed` texts are, for mounting the page."""
    import gradio as gr

    return gr.I18n(
        **{one: {key: texts[one] for key, texts in table().items()} for one in LANGUAGES}
    )


@cache
def table() -> dict[str, dict[str, str]]:
    """Key -> language -> text."""
    return tomllib.loads(_TABLE.read_text(encoding="utf-8"))


@cache
def _keys() -> dict[str, str]:
    return {texts["en"]: key for key, texts in table().items()}
