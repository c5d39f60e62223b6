"""Text from people, made storable.

SQLite cannot bind a lone surrogate and its text functions stop at NUL, so both are dealt with
here, once, at the edge of storage; everything else that people type is kept as it is.
"""

import json
import math
from typing import Any


def clean(text: str) -> str:
    """`text` with lone surrogates replaced by U+FFFD and NUL characters taken out."""
    if "\0" in text:
        text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        # through UTF-16, because two halves of one character then become that character
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def to_json(value: Any) -> str:
    """`value` as compact JSON that SQLite's own JSON functions accept, its text cleaned."""
    return json.dumps(_storable(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(str(key)): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no NaN: null says "no number"
    return value
