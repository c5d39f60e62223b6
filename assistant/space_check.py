"""`apprentice space check`: what a Space still needs, seen from inside it."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from assistant.doctor_check import Check
from assistant.settings import Settings
from assistant.space import names_in, on_zero_gpu
from storage.hub import HubFailed, told

MEMORY_WANTED = 4 * 2**30
"""Bytes: the embedded model serves in about 1 GB and trains in up to 3 beside it."""
DISK_WANTED = 5 * 2**30
"""Bytes: the base model, the index, rounds and a copy of it all on its way to the Hub."""
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def check_space(settings: Settings) -> Iterator[Check]:
    """Each thing that a Space needs; `fail` where it does not work or nothing would last."""
    yield _space(os.environ)
    yield _login(os.environ)
    yield _admins(settings, os.environ)
    yield from _storage(settings, os.environ)
    yield _hardware(os.environ)
    yield _memory(os.environ)
    yield _disk(settings.data)


def _space(environment: Mapping[str, str]) -> Check:
    space, host = environment.get("SPACE_ID", ""), environment.get("SPACE_HOST", "")
    if environment.get("SYSTEM") == "spaces" and HUB_NAME.fullmatch(space) and host:
        return Check("space", "ok", f"{space} at {host}")
    missing = [name for name in ("SYSTEM", "SPACE_ID", "SPACE_HOST") if not environment.get(name)]
    text = f"this is no Space: {', '.join(missing) or 'SPACE_ID or SYSTEM'} not as a Space has it"
    return Check("space", "fail", text, "Upload the folder of `space build` and look at its log.")


def _login(environment: Mapping[str, str]) -> Check:
    wanted = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OPENID_PROVIDER_URL")
    missing = [name for name in wanted if not environment.get(name)]
    if not missing:
        return Check("login", "ok", f"by {environment['OPENID_PROVIDER_URL']}")
    remedy = "Put `hf_oauth: true` into the front matter of README.md."
    return Check("login", "fail", f"{', '.join(missing)} not set", remedy)


def _admins(settings: Settings, environment: Mapping[str, str]) -> Check:
    names = names_in(settings.admins)
    if names:
        return Check("admins", "ok", ", ".join(names))
    owner = environment.get("SPACE_AUTHOR_NAME") or "NAME"
    remedy = f"Set the variable APPRENTICE_ADMINS, for example to {owner}."
    return Check("admins", "fail", "nobody can manage it", remedy)


def _storage(settings: Settings, environment: Mapping[str, str]) -> Iterator[Check]:
    if not environment.get("HF_TOKEN"):
        remedy = "Make a token that may write to your repositories and set it as a secret."
        text = "the secret HF_TOKEN is not set, so nothing outlives a restart"
        yield Check("HF_TOKEN", "fail", text, remedy)
        return
    yield _token()
    yield _repository("snapshots", settings.snapshots, "dataset")
    yield _repository("adapters", settings.adapters, "model")


def _token() -> Check:
    from huggingface_hub import HfApi

    try:
        with told("whoami"):
            found = HfApi().whoami()
    except HubFailed as error:
        return Check("HF_TOKEN", "fail", str(error), "Set the secret HF_TOKEN to a valid token.")
    name = str(found.get("name"))
    role = found.get("auth", {}).get("accessToken", {}).get("role")
    if role == "read":
        return Check("HF_TOKEN", "fail", f"{name}'s, but it only reads", "Make one that may write.")
    return Check("HF_TOKEN", "ok", f"{name}'s, {role or 'of an unknown kind'}")


def _repository(what: str, repo: str, kind: str) -> Check:
    """Whether the repository is private, or can be made at the first use."""
    from huggingface_hub import HfApi

    variable = f"APPRENTICE_{what.upper()}"
    if not repo:
        return Check(what, "fail", "no repository is named", f"Set {variable} to NAME/REPO.")
    api = HfApi()
    try:
        with told(repo):
            if not api.repo_exists(repo, repo_type=kind):
                return Check(what, "ok", f"the private {kind} {repo} is made when it is needed")
            private = api.repo_info(repo, repo_type=kind).private
    except HubFailed as error:
        return Check(what, "fail", str(error), f"Check HF_TOKEN and {variable}.")
    if not private:
        remedy = f"Make it private, or name another in {variable}."
        return Check(what, "fail", f"everybody can read {repo}", remedy)
    return Check(what, "ok", f"the private {kind} {repo}")


def _hardware(environment: Mapping[str, str]) -> Check:
    accelerator = environment.get("ACCELERATOR", "none")
    cores = environment.get("CPU_CORES", "")
    if not cores.isdecimal():
        text = f"CPU_CORES is {cores!r}: the number of cores is not known, so two are used"
        return Check("hardware", "warn", text, "Set the variable APPRENTICE_THREADS.")
    if on_zero_gpu():
        text = f"ZeroGPU with {cores} cores: replies and rounds are the CPU's"
        return Check("hardware", "ok", text)
    return Check("hardware", "ok", f"accelerator {accelerator}, {cores} cores")


def _memory(environment: Mapping[str, str]) -> Check:
    said = environment.get("MEMORY", "")
    found = re.fullmatch(r"(\d+)Gi", said)
    if not found:
        return Check("memory", "warn", f"MEMORY is {said!r}: not known", "See `apprentice doctor`.")
    if int(found[1]) * 2**30 < MEMORY_WANTED:
        return Check("memory", "fail", f"{said}", "Choose hardware with at least 4 GB of memory.")
    return Check("memory", "ok", said)


def _disk(data: Path) -> Check:
    place = next(one for one in (data.absolute(), *data.absolute().parents) if one.exists())
    if not os.access(place, os.W_OK):
        remedy = "Set the variable APPRENTICE_DATA to a folder in the home directory."
        return Check("disk", "fail", f"{place} cannot be written", remedy)
    free = shutil.disk_usage(place).free
    text = f"{free / 2**30:.1f} GB free at {place}"
    if free < DISK_WANTED:
        return Check("disk", "fail", text, "Choose hardware with more disk: 5 GB are wanted.")
    return Check("disk", "ok", text)
