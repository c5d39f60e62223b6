"""Repositories on the Hugging Face Hub, and what it answers as one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from storage.errors import ApprenticeError, Refused


class HubFailed(ApprenticeError):
    """The Hub did not do what was asked; the sentence says what it answered."""

    def __init__(self, said: str, code: int | None = None) -> None:
        super().__init__(said)
        self.code = code
        """The answer's HTTP status; None where there was no answer."""


def make_repo(api: Any, repo: str, *, kind: str = "model", public: bool = False) -> None:
    """The repository, made if it is not there. Refused when everybody reads it without `public`."""
    if not api.repo_exists(repo, repo_type=kind):
        api.create_repo(repo, repo_type=kind, private=not public)
    elif not public and not api.repo_info(repo, repo_type=kind).private:
        raise Refused(
            f"The repository {repo} can be read by everybody: make it private, or name another."
        )


@contextmanager
def told(repo: str) -> Iterator[None]:
    """What the Hub and the network say, as a HubFailed with one sentence."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HFValidationError as error:
        raise HubFailed(
            f"{repo!r} is no name of a repository: write NAME/REPO ({error})."
        ) from None
    except HfHubHTTPError as error:
        code = getattr(error.response, "status_code", "no")
        what = "log in with HF_TOKEN" if code in (401, 403) else "try again"
        raise HubFailed(
            f"The Hub refused {repo} (answer {code}): check the name and your rights, {what}.",
            code if isinstance(code, int) else None,
        ) from None
    except _network_errors() as error:
        raise HubFailed(
            f"The Hub cannot be reached for {repo} ({type(error).__name__}): check the network, "
            "HF_ENDPOINT and HF_HUB_OFFLINE."
        ) from None


def _network_errors() -> tuple[type[Exception], ...]:
    """What a network that fails raises: the Hub library's own client is httpx's in one version and
    another's in the next, so its base class is looked up."""
    from huggingface_hub.errors import HfHubHTTPError

    bases = HfHubHTTPError.__mro__
    return (
        OSError,
        *(one for one in bases if one.__name__ == "HTTPError" and issubclass(one, Exception)),
    )
