"""Where the Chroma server is that keeps the vectors, where a setting names one."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from storage.errors import ApprenticeError, BadInput

_ADDRESS = "like http://127.0.0.1:8000 or https://api.trychroma.com"
_PREFIX = re.compile(r"[a-z0-9][a-z0-9-]{1,30}[a-z0-9]")


class IndexAway(ApprenticeError):
    """The Chroma server gives no answer that can be used; what it holds can be made again."""


@dataclass(frozen=True)
class ChromaPlace:
    """A Chroma server and our part of it; the token is in no `repr` and no log."""

    url: str
    prefix: str
    """What the names of our collections begin with, so that several installs can share it."""
    token: str = field(default="", repr=False)
    tenant: str = ""
    """"": Chroma's own default."""
    database: str = ""

    def __post_init__(self) -> None:
        """Raises BadInput for an address, a token or a prefix that cannot be used."""
        host, _, _ = self.address
        if not _PREFIX.fullmatch(self.prefix):
            raise BadInput(
                f"APPRENTICE_CHROMA_PREFIX is {self.prefix!r}, which cannot begin a collection's "
                "name: give 3 to 32 of a to z, 0 to 9 and -, without - at the ends."
            )
        if not self.token.isascii() or not self.token.isprintable() or " " in self.token:
            raise BadInput(
                f"APPRENTICE_CHROMA_TOKEN, for {host}, has blanks or other than ASCII characters: "
                "copy the token once more."
            )

    @property
    def address(self) -> tuple[str, int, bool]:
        """Host, port, and whether by TLS."""
        try:
            parts = urlsplit(self.url.strip())
            port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        except (ValueError, KeyError):
            raise BadInput(self._no_address(_without_login(self.url))) from None
        if parts.username is not None or parts.password is not None:
            shown = _without_login(self.url)
            raise BadInput(
                f"APPRENTICE_CHROMA_URL has a login before {shown!r}: put the token into "
                "APPRENTICE_CHROMA_TOKEN."
            )
        if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
            raise BadInput(self._no_address(self.url))
        return parts.hostname, port, parts.scheme == "https"

    @property
    def shown(self) -> str:
        """The address as people are told it."""
        host, port, tls = self.address
        name = f"[{host}]" if ":" in host else host
        return f"{'https' if tls else 'http'}://{name}:{port}"

    @staticmethod
    def _no_address(url: str) -> str:
        return (
            f"APPRENTICE_CHROMA_URL is {url!r}, which is no server's address: give one {_ADDRESS}."
        )


def _without_login(url: str) -> str:
    return url.rpartition("@")[2]
