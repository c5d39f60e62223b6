"""The API explained to a person: made from its OpenAPI document, with nothing fetched elsewhere."""

import re
from html import escape
from typing import Any

from starlette.responses import HTMLResponse

from assistant.plain_pages import page

_EXAMPLE = """curl {url}/chat/completions \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{{"model": "default", "messages": [{{"role": "user", "content": "Hello."}}]}}'"""


def api_page(document: dict[str, Any], url: str) -> HTMLResponse:
    """Every route with its fields; `url` is where the API is reached."""
    intro = (
        f"<p>The OpenAI clients work with the base address <code>{escape(url)}</code> and a key, "
        "which an admin makes: <code>apprentice keys create NAME</code>. This page as a "
        '<a href="/v1/openapi.json">document for programs</a>.</p>'
        f"<pre>{escape(_EXAMPLE.format(url=url))}</pre>"
    )
    routes = [
        f"<h2><code>{method.upper()} /v1{escape(path)}</code></h2>{explained(document, route)}"
        for path, methods in document["paths"].items()
        for method, route in methods.items()
    ]
    return page("API", intro + "".join(routes), 200, wide=True)


def explained(document: dict[str, Any], route: dict[str, Any]) -> str:
    """What a route does and which fields it takes, as HTML."""
    said = _text(route.get("description", "")).replace("\n\n", "</p><p>")
    body = route.get("requestBody", {}).get("content", {}).get("application/json", {})
    fields = _fields(document, body["schema"]) if body else ""
    return f"<p>{escape(route['summary'])}. {said}</p>{fields}"


def _fields(document: dict[str, Any], schema: dict[str, Any]) -> str:
    known = document["components"]["schemas"][_named(schema)]
    rows = [
        f"<tr><td><code>{escape(name)}</code>"
        f"{' *' if name in known.get('required', ()) else ''}</td>"
        f"<td>{escape(_kind(field))}</td><td>{_text(field.get('description', ''))}</td></tr>"
        for name, field in known["properties"].items()
    ]
    return f'<div class="scroll"><table>{"".join(rows)}</table></div><p>* must be there</p>'


def _kind(schema: dict[str, Any]) -> str:
    """What a field takes, in a word or two."""
    if "anyOf" in schema:
        kinds = [_kind(one) for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "$ref" in schema:
        return _named(schema)
    if "enum" in schema:
        return " or ".join(str(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    return str(schema.get("type", ""))


def _text(text: str) -> str:
    """Escaped, with what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _named(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]
