"""One finding of `apprentice doctor`."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """One finding; `remedy` is what to do, empty when all is well."""

    check: str
    state: State
    detail: str
    remedy: str = ""
