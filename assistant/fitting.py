"""What of a turn fits into the context, and what is dropped first."""

from dataclasses import replace

from assistant.app import App
from assistant.prompt import build_messages
from storage.errors import BadInput
from storage.records import ChatMessage, Inputs, Message, Workspace
from storage.text import clean


def checked_question(app: App, workspace: Workspace, question: str) -> str:
    """The question without outer space; BadInput for an empty one, or one that does not fit."""
    question = clean(question).strip()
    if not question:
        raise BadInput("The question is empty; type something to ask.")
    room = app.settings.context - workspace.settings.max_tokens
    # A token is at least one byte of text, so a text under the room in bytes fits unmeasured.
    spent = len((workspace.instructions + question).encode()) + 64
    if spent > room:
        if len(question) > 64 * room:
            spent = len(question) // 16
        else:
            bare: list[ChatMessage] = [
                {"role": "system", "content": workspace.instructions},
                {"role": "user", "content": question},
            ]
            spent = len(app.tokenizer.render(bare))
    if spent > room:
        raise BadInput(
            f"The question is about {spent} tokens long, but only {room} fit beside the reply; "
            "shorten it or put the text into a document."
        )
    return question


def fitting_history(
    app: App, workspace: Workspace, before: list[Message]
) -> tuple[ChatMessage, ...]:
    """The newest whole turns within the workspace's history budget, oldest first."""
    kept: list[ChatMessage] = []
    room = workspace.settings.history_tokens
    for item in reversed(before):
        room -= app.tokenizer.count(item.content) + 8
        if room < 0:
            break
        kept.append({"role": item.role, "content": item.content})
    kept.reverse()
    while kept and kept[0]["role"] != "user":
        kept.pop(0)
    return tuple(kept)


def rendered(app: App, workspace: Workspace, inputs: Inputs) -> tuple[Inputs, list[int], list[str]]:
    """What fits of the inputs, its token ids, and what is to be said about the rest.

    Examples are dropped first, then passages, then history; never the question or the
    instructions: BadInput where those alone are too long.
    """
    room = app.settings.context - workspace.settings.max_tokens
    less: dict[str, Inputs] = {
        "": inputs,
        "examples": (bare := replace(inputs, examples=())),
        "passages": (bare := replace(bare, passages=())),
        "history": replace(bare, history=()),
    }
    notices: list[str] = []
    kept = inputs
    for dropped, fewer in less.items():
        if dropped and fewer != kept:
            notices.append(f"The prompt was too long; its {dropped} were left out.")
        kept = fewer
        ids = app.tokenizer.render(build_messages(kept))
        if len(ids) <= room:
            return kept, ids, notices
    raise BadInput(
        f"The question and the workspace's instructions are {len(ids)} tokens long, but only "
        f"{room} fit beside the reply; shorten one of them."
    )
