"""The files that an event of a Gradio page names.

Gradio looks for such a name in every field, before a handler is asked, and fetches what is an
address of the internet into its cache, for anybody (6.31; private addresses it refuses). Here an
event names what was uploaded, and nothing else.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder


def only_uploads(event: Any, *, uploads: bool) -> bool:
    """Whether each file in the event is one that was uploaded; none is, unless `uploads`.

    Addresses beside them are taken out: what was uploaded is on the disk. RecursionError for
    what is too deep.
    """
    for file in _files(event):
        if not uploads or not _was_uploaded(file.get("path")):
            return False
        file["url"] = None
    return True


def _files(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "meta" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _files(one)


def _was_uploaded(path: Any) -> bool:
    if not isinstance(path, str) or "\0" in path:
        return False
    folder = Path(get_upload_folder()).resolve()
    found = Path(path).resolve()
    return found.is_file() and folder in found.parents
