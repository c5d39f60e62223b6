"""An adapter pushed to the Hub, or to any server that speaks the Hub's language (HF_ENDPOINT).

Weights, config, manifest and a card with figures go, and nothing that people wrote: the folder is
written anew for it, because the card that lies with the adapter here may quote questions.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from assistant.app import App
from storage import adapters
from storage.audit import audit
from storage.copies import record_copy
from storage.errors import ApprenticeError, Refused
from tuning.adapter_files import CONFIG, WEIGHTS, Manifest, save_adapter, verify_adapter


class PushFailed(ApprenticeError):
    """The Hub did not take it; the sentence says what it answered."""


def push_adapter(app: App, adapter_id: int, repo: str, *, public: bool, actor: str) -> str:
    """Uploads an adapter's verified files to the repository `repo`; returns its address.

    A repository that is not there is made, private unless `public`. Raises AdapterRefused for
    files that do not verify, Refused for a public repository without `public`, PushFailed for what
    the Hub or the network say.
    """
    from huggingface_hub import HfApi  # late: 0.3 s

    with closing(app.db()) as db, tempfile.TemporaryDirectory(prefix="apprentice-") as scratch:
        known = adapters.adapter(db, adapter_id)
        manifest = verify_adapter(
            app.adapter_folder(adapter_id),
            known.base_fingerprint,
            expected_manifest=known.manifest_hash,
        )
        folder = _without_words(app.adapter_folder(adapter_id), Path(scratch), manifest)
        api = HfApi()
        address = f"{api.endpoint}/{repo}"
        with _told(repo):
            _make(api, repo, public=public)
            record_copy(
                db,
                kind="push",
                adapter_id=known.id,
                round_id=known.round_id,
                place=address,
                format="peft",
                actor=actor,
                hash=known.manifest_hash,
            )
            api.upload_folder(
                repo_id=repo,
                folder_path=folder,
                commit_message=f"Adapter {known.id}, {known.method}",
            )
        detail = {"place": address, "public": public}
        audit(db, actor, "adapter pushed", f"adapter:{known.id}", detail)
    return address


def _without_words(adapter: Path, scratch: Path, manifest: Manifest) -> Path:
    """The adapter as a folder of its own, its card and figures without any text of a person."""
    for name in (CONFIG, WEIGHTS):
        shutil.copyfile(adapter / name, scratch / name)
    numbers = {
        name: value
        for name, value in manifest.metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    save_adapter(
        scratch,
        scratch / "adapter",
        base_fingerprint=manifest.base_fingerprint,
        base_model=Path(manifest.base_model).name,
        method=manifest.method,
        round_id=manifest.round_id,
        metrics=numbers,
        extra={key: manifest.extra[key] for key in ("bundle",) if key in manifest.extra},
    )
    return scratch / "adapter"


def _make(api: Any, repo: str, *, public: bool) -> None:
    """The repository, made if it is not there; one that everybody reads needs a `public`."""
    if not api.repo_exists(repo):
        api.create_repo(repo, private=not public)
    elif not public and not api.model_info(repo).private:
        raise Refused(
            f"The repository {repo} can be read by everybody: push with --public, or to another."
        )


@contextmanager
def _told(repo: str) -> Iterator[None]:
    """What the Hub and the network say, as one sentence."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HFValidationError as error:
        raise PushFailed(
            f"{repo!r} is no name of a repository: write NAME/REPO ({error})."
        ) from None
    except HfHubHTTPError as error:
        code = getattr(error.response, "status_code", "no")
        what = "log in with HF_TOKEN" if code in (401, 403) else "try again"
        raise PushFailed(
            f"The Hub did not take {repo} (answer {code}): check the name and your rights, {what}."
        ) from None
    except _network_errors() as error:
        raise PushFailed(
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
