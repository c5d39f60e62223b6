"""The few pages that are not Gradio's: log in, log out, set up, nothing here, and their frame."""

from html import escape
from urllib.parse import urlencode

from starlette.responses import HTMLResponse


def login_page(
    next_path: str, *, name: str = "", error: str = "", status: int = 200
) -> HTMLResponse:
    """The login form; `next_path` is where to go afterwards."""
    fields = (
        _hidden("next", next_path)
        + _field("name", "Name", "text", "username", value=name, focus=not name)
        + _field("password", "Password", "password", "current-password", focus=bool(name))
    )
    return page("Log in", _form("/login", fields, "Log in", error), status)


def hub_login_page(
    next_path: str, *, framed: bool = False, error: str = "", status: int = 200
) -> HTMLResponse:
    """The way to log in by the Hub; from a frame in a tab of its own, since frames may keep no
    cookies."""
    alert = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    address = "/login/huggingface" + (f"?{urlencode({'next': next_path})}" if next_path else "")
    tab = ' target="_blank" rel="noopener"' if framed else ""
    link = f'<a class="button" href="{escape(address)}"{tab}>Log in with Hugging Face</a>'
    return page("Log in", alert + link, status)


def setup_page(token: str, *, name: str = "", error: str = "", status: int = 200) -> HTMLResponse:
    """Name and password of the first admin."""
    fields = (
        _hidden("token", token)
        + _field("name", "Your name", "text", "username", value=name, focus=True)
        + _field("password", "Password, 8 characters or more", "password", "new-password")
        + _field("again", "The same password again", "password", "new-password")
    )
    intro = "<p>Make the first admin of this assistant.</p>"
    return page("Set up", intro + _form("/setup", fields, "Make the admin", error), status)


def setup_closed_page() -> HTMLResponse:
    """What a used, wrong or missing set-up link shows."""
    text = (
        "<p>This set-up link cannot be used: it is not whole, or the first admin exists already."
        " The server prints the link when it starts without any user.</p>"
    )
    return page("Set up", text + _link("/login", "Log in"), 404)


def logout_page(name: str) -> HTMLResponse:
    """A button that ends the session."""
    text = f"<p>You are logged in as <strong>{escape(name)}</strong>.</p>"
    return page("Log out", text + _form("/logout", "", "Log out", "") + _link("/", "Back"), 200)


def nothing_here_page(name: str) -> HTMLResponse:
    """One answer for what does not exist and for what this person may not use.

    It depends on who asks (`name` is empty without a login), never on what was asked for.
    """
    if name:
        text = (
            f"<p>You are logged in as <strong>{escape(name)}</strong>, but there is nothing at"
            " this address for you. An admin can give you access.</p>"
        ) + _link("/logout", "Log out")
    else:
        text = "<p>There is nothing at this address for you unless you log in.</p>" + _link(
            "/login", "Log in"
        )
    return page("Nothing here", text, 404)


def page(title: str, body: str, status: int, *, wide: bool = False) -> HTMLResponse:
    """A page around `body`, which is HTML; `wide` is for more than a form."""
    kind = ' class="wide"' if wide else ""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)} · Apprentice</title>"
        '<link rel="icon" href="/ui/icon.svg"><link rel="stylesheet" href="/ui/plain.css">'
        f'</head><body><main{kind}><p class="brand"><img src="/ui/icon.svg" alt="">Apprentice</p>'
        f"<h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return HTMLResponse(text, status)


def _form(action: str, fields: str, button: str, error: str) -> str:
    alert = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    return (
        f'<form method="post" action="{action}">{alert}{fields}'
        f"<button>{escape(button)}</button></form>"
    )


def _field(
    name: str, label: str, kind: str, complete: str, *, value: str = "", focus: bool = False
) -> str:
    return (
        f'<label>{escape(label)}<input name="{name}" type="{kind}" autocomplete="{complete}"'
        f' value="{escape(value)}" required{" autofocus" if focus else ""}></label>'
    )


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{escape(value)}">'


def _link(address: str, text: str) -> str:
    return f'<p class="links"><a href="{address}">{escape(text)}</a></p>'
