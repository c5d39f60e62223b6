"""A private repository on the Hub in which a round lies while it is trained there.

A repository and not a bucket: a commit is whole or not there at all, where a bucket that a job has
mounted is written some time after the file was closed; deleting it takes its history along; and it
is plain HTTP, so that any server which speaks the Hub's language will do. The base model has one of
its own, which stays: it holds nothing that people wrote, and is large.
"""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from storage.hub import make_repo, told

DATASET = "dataset"
BASE_FILES = ["*.safetensors", "*.json", "*.jinja"]
OWN_RECORD = "base.json"
"""Ours, about where the base came from; not part of it."""


class Depot:
    """The repository `repo`; `api` is a `huggingface_hub.HfApi` with its token."""

    def __init__(self, api: Any, repo: str) -> None:
        self._api, self.repo = api, repo

    def make(self) -> None:
        """Makes it, private. Raises Refused for one that everybody reads, HubFailed."""
        with told(self.repo):
            make_repo(self._api, self.repo, kind=DATASET)

    def put(self, file: Path, name: str) -> None:
        """Uploads a file under `name`. Raises HubFailed."""
        with told(self.repo):
            self._api.upload_file(
                path_or_fileobj=file,
                path_in_repo=name,
                repo_id=self.repo,
                repo_type=DATASET,
                commit_message=name,
            )

    def get(self, name: str, take: Callable[[Path], None]) -> bool:
        """Downloads the file `name` and hands it to `take`; False where there is none.

        Raises HubFailed, and what `take` raises.
        """
        from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

        with tempfile.TemporaryDirectory(prefix="apprentice-") as scratch, told(self.repo):
            try:
                path = self._api.hf_hub_download(
                    self.repo, name, repo_type=DATASET, local_dir=scratch
                )
            except (EntryNotFoundError, RepositoryNotFoundError):
                return False
            take(Path(path))
        return True

    def delete(self) -> None:
        """Deletes it with its history. Raises HubFailed."""
        with told(self.repo):
            self._api.delete_repo(self.repo, repo_type=DATASET, missing_ok=True)


def put_base(api: Any, repo: str, folder: Path) -> None:
    """The base model's canonical files in the private repository `repo`, unless they are there.

    One commit, so its config.json says that all of it came. Raises Refused and HubFailed.
    """
    with told(repo):
        make_repo(api, repo)
        if not api.file_exists(repo, "config.json"):
            api.upload_folder(
                repo_id=repo,
                folder_path=folder,
                allow_patterns=BASE_FILES,
                ignore_patterns=[OWN_RECORD],
                commit_message="Base model",
            )


def get_base(api: Any, repo: str, to: Path) -> None:
    """Downloads what `put_base` uploaded. Raises HubFailed."""
    with told(repo):
        api.snapshot_download(repo, local_dir=to, allow_patterns=BASE_FILES)
    with suppress(OSError):
        shutil.rmtree(to / ".cache")
