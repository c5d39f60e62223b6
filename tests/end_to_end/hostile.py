"""Texts that would run a script, fetch an address or leave the page, if a page let them.

They stand in `hostile.txt`, one a line; `{away}` is an address that is not ours. Whoever shows
one counts what came of it by a `Watch`: `harm()` is what must never be called.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

AWAY = "https://away.example"

_ESCAPES = {
    "\\n": "\n",
    "\\0": "\0",
    "\\u0430": "\u0430",
    "\\u202e": "\u202e",
    "\\u202c": "\u202c",
    "\\ufeff": "\ufeff",
}
"""What does not stand in the file as it is."""
_WAYS = ("{}", '">{}', "'>{}", "</div>{}", "`{}", "&lt;{}", "{}\n\n{}", "* {}")
"""What a text may break out of, for the long form."""


def payloads(*, every: bool = False) -> list[str]:
    """A hundred or so; `every`: each of them also in the places that it may break out of."""
    lines = (Path(__file__).parent / "hostile.txt").read_text().splitlines()
    found = [_typed(line.replace("{away}", AWAY)) for line in lines]
    if not every:
        return found
    return [way.replace("{}", one) for one, way in product(found, _WAYS)]


def _typed(line: str) -> str:
    for written, meant in _ESCAPES.items():
        line = line.replace(written, meant)
    return line


# ---- what came of them


@dataclass
class Watch:
    """What a page did that it must not; everything is empty as long as all is well."""

    ours: str
    fetched: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    went: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    built: list[str] = field(default_factory=list)
    trials: int = 0

    @property
    def failures(self) -> list[str]:
        """All of it, with its kind in front."""
        kinds = ("fetched", "dialogs", "went", "ran", "built")
        return [f"{kind}: {one}" for kind in kinds for one in getattr(self, kind)]

    def over(self, context: Any) -> None:
        """Listens to every page of a browser's context from now on."""
        context.add_init_script(_CANARY)
        context.route(lambda url: not url.startswith((self.ours, "data:", "blob:")), self._refuse)
        context.on("page", self._page)

    def _refuse(self, route: Any) -> None:
        self.fetched.append(route.request.url[:200])
        route.abort()

    def _page(self, page: Any) -> None:
        if page.opener() and page.url != "about:blank#blocked":  # the browser opened nothing there
            self.went.append(f"a window {page.url}")
        page.on("dialog", self._dialog)
        page.on("framenavigated", lambda frame: self._went(frame))

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(f"{dialog.type} {dialog.message}")
        dialog.dismiss()

    def _went(self, frame: Any) -> None:
        barred = frame.parent_frame is not None and frame.url.startswith("chrome-error:")
        if not barred and not frame.url.startswith((self.ours, "about:")):
            self.went.append(frame.url[:200])

    def look(self, page: Any, place: str, shown: int) -> None:
        """Provokes what stands at `place`, a CSS selector, and counts; `shown` are the texts."""
        found = page.evaluate(_PROVOKE, place)
        page.wait_for_timeout(150)  # what was provoked runs in a task of its own
        self.built += [f"{place}: {one}" for one in found]
        self.ran += [f"{place}: {one}" for one in page.evaluate("window.harmed.splice(0)")]
        self.trials += shown


_CANARY = """
window.harmed = [];
window.harm = () => { window.harmed.push(new Error().stack.slice(0, 200)); };
for (const name of ["alert", "confirm", "prompt", "print"]) window[name] = () => window.harm();
"""
# Nodes that none of our pages makes out of anybody's text. A script may call an event's handler,
# so each element is told of a pointer and of the focus, and links that would run are pressed.
_PROVOKE = """(place) => {
  const said = [];
  const foreign = "script,iframe,object,embed,form,input,textarea,select,video,audio,img,picture,"
    + ".prose svg,#log svg,math,style,link,meta,base,dialog,marquee,template,map,[style*=fixed],"
    + "[onclick],[onerror],"
    + "[id=question],[id=open-conversation],[id=open-workspace],[id=save-markdown],.dialog,"
    + "[contenteditable],.mermaid,a[href^='javascript' i],a[href^='data' i],a[href^='vbscript' i]";
  const own = ".katex *, .copy_code_button *, svg.plot, svg.plot *, iframe.chat-preview, .brand *";
  for (const box of document.querySelectorAll(place)) {
    if (!box.checkVisibility()) continue;
    for (const one of box.querySelectorAll(foreign)) {
      if (!one.matches(own)) said.push(one.outerHTML.slice(0, 160));
    }
    for (const one of box.querySelectorAll("*")) {
      for (const kind of ["mouseover", "pointerenter", "focus", "load", "error", "toggle"]) {
        one.dispatchEvent(new Event(kind));
      }
    }
    for (const one of box.querySelectorAll("a, area")) {
      const href = one.getAttribute("href") ?? one.getAttribute("xlink:href") ?? "#";
      const there = URL.canParse(href, location) ? new URL(href, location).protocol : "?";
      if (!/^https?:$/.test(there)) {
        one.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
      }
    }
  }
  return said;
}"""


def batches(texts: list[str], size: int) -> Iterator[list[str]]:
    """The texts, `size` at a time."""
    for start in range(0, len(texts), size):
        yield texts[start : start + size]
