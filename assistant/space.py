"""A Hugging Face Space, as its environment describes it; `run` is what its `app.py` calls."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FRAMED_BY = "https://huggingface.co"
"""The page of a Space shows it in a frame."""
DATA_FOLDER = "apprentice"
"""In the home directory: the folder of the files themselves is replaced at each build."""
INNER = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,127.0.0.0/8,::1,fc00::/7"
"""Networks that no visitor of a public Space comes from."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HubLogin:
    """How people log in by their Hub account; a Space with `hf_oauth: true` is given this."""

    client_id: str
    client_secret: str
    scopes: str
    provider: str
    """Its OpenID description is at `/.well-known/openid-configuration`."""
    host: str

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends people back to; one of the Space's own addresses."""
        return f"https://{self.host}/login/callback"


def in_space() -> bool:
    """Whether this process is a Space's."""
    return os.environ.get("SYSTEM") == "spaces" and bool(os.environ.get("SPACE_ID"))


def on_zero_gpu() -> bool:
    """Whether this Space borrows a GPU for single calls."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def hub_login() -> HubLogin | None:
    """How people log in by the Hub; None outside a Space, or where it has no OAuth."""
    names = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OPENID_PROVIDER_URL", "SPACE_HOST")
    client_id, secret, provider, hosts = (os.environ.get(name, "") for name in names)
    if not in_space() or not all((client_id, secret, provider, hosts)):
        return None
    scopes = os.environ.get("OAUTH_SCOPES") or "openid profile"
    # with a domain of one's own there are several, the Space's first
    host = hosts.split(",")[0].strip()
    return HubLogin(client_id, secret, scopes, provider.rstrip("/"), host)


def names_in(text: str) -> list[str]:
    """Names apart by commas."""
    return [name for part in text.split(",") if (name := part.strip())]


def defaults(environment: Mapping[str, str]) -> dict[str, str]:
    """What is set in a Space unless its variables say otherwise."""
    found = {
        "APPRENTICE_HOST": environment.get("GRADIO_SERVER_NAME") or "0.0.0.0",  # noqa: S104
        "APPRENTICE_PORT": environment.get("GRADIO_SERVER_PORT") or "7860",
        "APPRENTICE_DATA": str(Path.home() / DATA_FOLDER),
        # os.cpu_count() there is that of the machine which many Spaces share
        "APPRENTICE_THREADS": environment.get("CPU_CORES") or "2",
        # its own disk is new at every start, and nobody but its owner can write to its data
        "APPRENTICE_SIGNING_KEY": "off",
        # reached through the Hub's load balancers alone, from addresses like 10.16.3.80. Each adds
        # whom it hears to what a visitor may have sent, so not the first of them but the last that
        # is no inner address is who asks
        "APPRENTICE_PROXIES": INNER,
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    if environment.get("HF_TOKEN") and (space := environment.get("SPACE_ID")):
        found["APPRENTICE_SNAPSHOTS"] = f"{space}-data"
        found["APPRENTICE_ADAPTERS"] = f"{space}-adapters"
    return found


def run() -> int:
    """Serve this Space; first what is missing is told in its log. Returns an exit code."""
    for name, value in defaults(os.environ).items():
        os.environ.setdefault(name, value)
    if on_zero_gpu():
        _report_to_zero_gpu()
    from assistant.cli import main

    main(["space", "check"])
    return main(["serve"])


def _report_to_zero_gpu() -> None:
    """Say that the Space has started, which `spaces` says at Gradio's own launch() only."""
    from spaces.zero.client import startup_report

    startup_report()
