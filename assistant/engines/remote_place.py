"""Where the server of the remote engine is, and how it sees our files."""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assistant.settings import Settings


@dataclass(frozen=True)
class RemotePlace:
    """An OpenAI-compatible server; the key is in no `repr` and no log."""

    url: str
    key: str = field(default="", repr=False)
    timeout: float = 120.0
    """Seconds of silence after which an answer is given up."""
    model: str = ""
    """The base's name on a server with several; "" takes the first that it lists."""
    data: str = "data"
    """The data directory here."""
    data_there: str = ""
    """The same directory as the server sees it; "" when it is on this machine."""

    def seen(self, path: Path) -> str:
        """`path` as the server sees it."""
        here, data = path.resolve(), Path(self.data).resolve()
        if self.data_there and here.is_relative_to(data):
            return str(PurePosixPath(self.data_there) / here.relative_to(data).as_posix())
        return str(here)


def remote_place(settings: "Settings") -> RemotePlace:
    """What the settings say of the server."""
    return RemotePlace(
        url=settings.remote_url,
        key=settings.remote_key.get_secret_value().strip(),
        timeout=settings.remote_timeout,
        model=settings.remote_model,
        data=str(settings.data),
        data_there=settings.remote_data,
    )
