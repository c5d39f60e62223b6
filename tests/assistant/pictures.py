"""Pictures for tests: half red, half blue, with remarks that must not get out."""

import io
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

SECRET = "taken in Kiel"
RED, BLUE = (200, 30, 30), (30, 30, 200)


def picture(path: Path, *, size: tuple[int, int] = (300, 200), turned: bool = False) -> Path:
    """A picture of the kind that the name says: red above blue.

    `turned`: it is stored on its side, and a remark says so, as telephones do it.
    """
    whole = Image.new("RGB", size, RED)
    whole.paste(BLUE, (0, size[1] // 2, *size))
    remarks = Image.Exif()
    remarks[0x010E] = SECRET
    more = {}
    if turned:
        whole = whole.rotate(90, expand=True)
        remarks[0x0112] = 6
    if path.suffix == ".png":
        said = PngInfo()
        said.add_text("Comment", SECRET)
        more["pnginfo"] = said
    kinds = {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP", ".gif": "GIF"}
    whole.save(path, kinds[path.suffix], exif=remarks, icc_profile=SECRET.encode(), **more)
    return path


def opened(png: bytes) -> Image.Image:
    """What a PNG shows."""
    return Image.open(io.BytesIO(png), formats=["PNG"]).convert("RGB")
