"""The assistant's picture: made small and plain from a file, and handed to who may chat with it.

Every picture is decoded and written anew as a PNG, so that nothing else of the file that somebody
gave is ever sent out: no script of an SVG, no data behind the picture, no place where it was taken.
"""

import base64
import io
import struct
import zlib
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from assistant.plain_pages import nothing_here_page
from assistant.security import identify, usable_workspace
from storage.avatars import avatar_png
from storage.errors import BadInput
from storage.records import Workspace

if TYPE_CHECKING:
    from assistant.app import App

NAME = "Apprentice"
"""What the assistant is called where its workspace has no name for it."""
FILE_TYPES = [".png", ".jpg", ".jpeg", ".webp"]
FILE_BYTES = 4 << 20
SIDE = 128
"""Pixels: twice the largest size at which it is shown."""
MOST_PIXELS = 40_000_000
"""A telephone's photo has 12 million or more; so many take 160 MB while they are decoded."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    # its address has its hash, and another person at this browser may not be let in
    "Cache-Control": "private, max-age=86400",
}


def assistant_name(workspace: Workspace) -> str:
    """What the assistant is called on the chat page."""
    return workspace.settings.assistant_name or NAME


def avatar_address(workspace: Workspace) -> str:
    """Where the picture is for who chats on the chat page; "" where there is none."""
    digest = workspace.settings.avatar
    return f"/avatar/{workspace.name}?v={digest}" if digest else ""


def avatar_routes(app: "App") -> list[Route]:
    """The route, to stand before the chat page's own."""

    def picture(request: Request) -> Response:
        person = identify(request, app)
        with closing(app.db()) as db:
            workspace = usable_workspace(db, request.path_params["workspace"], person)
            png = avatar_png(db, workspace.id) if workspace else None
        return avatar_response(png) if png else nothing_here_page(person.name)

    async def handler(request: Request) -> Response:
        return await run_in_threadpool(picture, request)

    return [Route("/avatar/{workspace}", handler, methods=["GET"])]


def avatar_response(png: bytes) -> Response:
    """The picture, which can be nothing but one."""
    return Response(png, media_type="image/png", headers=_HEADERS)


def avatar_as_given(path: str) -> str:
    """A PNG of SIDE x SIDE pixels in base64, made of the middle of the picture; "" of "".

    BadInput for a file that cannot be read, is too large, or is no PNG, JPEG or WebP.
    """
    if not path.strip():
        return ""
    file = Path(path.strip()).expanduser()
    try:
        if file.stat().st_size > FILE_BYTES:
            raise BadInput(
                f"The picture {file.name} has {file.stat().st_size / (1 << 20):.1f} MB: "
                f"give one of at most {FILE_BYTES >> 20} MB."
            )
        given = file.read_bytes()
    except (OSError, ValueError) as error:
        said = (getattr(error, "strerror", None) or str(error)).lower()
        raise BadInput(f"The picture {path} cannot be read ({said}): name another.") from None
    return base64.b64encode(_small(given, file.name)).decode()


def _small(given: bytes, name: str) -> bytes:
    from PIL import Image, ImageOps  # here: commands that show no picture start without it

    try:
        with Image.open(io.BytesIO(given), formats=("PNG", "JPEG", "WEBP")) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise BadInput(
                    f"The picture {name} has {opened.width} x {opened.height} pixels: "
                    "give a smaller one, such as 256 x 256."
                )
            upright = ImageOps.exif_transpose(opened).convert("RGBA")
        square = ImageOps.fit(upright, (SIDE, SIDE))
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error):
        said = f"{name} is no picture that can be used: give a PNG, JPEG or WebP file."
        raise BadInput(said) from None
    except Image.DecompressionBombError:
        raise BadInput(f"The picture {name} has too many pixels: give a smaller one.") from None
    plain = Image.new("RGBA", square.size)  # a new one: it has no colour profile, no remarks
    plain.paste(square)
    out = io.BytesIO()
    plain.save(out, "PNG", optimize=True)
    return out.getvalue()
