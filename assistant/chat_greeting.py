"""Who greets on an empty chat page: the assistant's name, picture and first sentence. Pure."""

from html import escape

from assistant.avatar import assistant_name, avatar_address
from assistant.chat_view import one_line
from assistant.chat_words import Words
from storage.records import Workspace


def brand_line(workspace: Workspace) -> str:
    """Picture and name, for the top of the page; `ui/chat.js` takes both from it."""
    return f"<h1>{_picture(workspace)}<span>{one_line(assistant_name(workspace))}</span></h1>"


def greeting_of(workspace: Workspace, words: Words) -> str:
    """What stands where nothing was said yet, as HTML."""
    name = assistant_name(workspace)
    said = workspace.settings.greeting or words("nothing_yet", name=name)
    drawn = one_line(said).replace("&#10;", "<br>")
    return (
        f'<div class="greeting">{_picture(workspace)}<h2>{one_line(name)}</h2><p>{drawn}</p></div>'
    )


def _picture(workspace: Workspace) -> str:
    address = avatar_address(workspace)
    return f'<img src="{escape(address)}" alt="">' if address else ""
