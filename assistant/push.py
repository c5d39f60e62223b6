"""An adapter pushed to the Hub, or to any server that speaks the Hub's language (HF_ENDPOINT).

Weights, config, manifest and a card with figures go, and nothing that people wrote: the folder is
written anew for it, because the card that lies with the adapter here may quote questions.
"""

import shutil
import tempfile
from contextlib import closing
from pathlib import Path

from assistant.app import App
from storage import adapters
from storage.audit import audit
from storage.copies import record_copy
from storage.hub import make_repo, told
from tuning.adapter_files import CONFIG, WEIGHTS, Manifest, save_adapter, verify_adapter


def push_adapter(app: App, adapter_id: int, repo: str, *, public: bool, actor: str) -> str:
    """Uploads an adapter's verified files to the repository `repo`; returns its address.

    A repository that is not there is made, private unless `public`. The version gets the tag
    `adapter-ID`, by which it can be loaded when later ones have come. Raises AdapterRefused for
    files that do not verify, Refused for a public repository without `public`, HubFailed for what
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
        with told(repo):
            make_repo(api, repo, public=public)
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
            made = api.upload_folder(
                repo_id=repo,
                folder_path=folder,
                commit_message=f"Adapter {known.id}, {known.method}",
            )
            tag = f"adapter-{known.id}"
            api.create_tag(repo, tag=tag, revision=made.oid, exist_ok=True)
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
