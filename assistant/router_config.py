"""The configuration of an nginx before the cells, from which workspace is in which cell.

Each workspace has a host of its own, WORKSPACE.DOMAIN, for its chat page and the API; each cell has
CELL.cells.DOMAIN for its admin page. Websites' chats come by DOMAIN and are told apart by their
embed key, which stands in the path and is no secret.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from storage.errors import BadInput

_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_LISTEN = re.compile(r"[0-9A-Za-z.:\[\] _]+")

_CONFIG = """\
# Written by `apprentice cells config`; what is changed by hand is lost at the next move.
map_hash_bucket_size 256;
map_hash_max_size 65536;
server_names_hash_bucket_size 256;
map $host $apprentice_cell {{
    default "";
{cells}
}}
map $host $apprentice_workspace {{
    default "";
{workspaces}
}}
map $uri $apprentice_key {{
    default "";
    ~^/embed/(?<apprentice_found>[^/]+) $apprentice_found;
}}
map $apprentice_key $apprentice_keyed {{
    default "";
{keys}
}}
{upstreams}
server {{
    listen {listen};
    server_name {domain} *.{domain};
    client_max_body_size 64m;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_buffering off;       # replies are streamed
    proxy_request_buffering off;
    proxy_connect_timeout 3s;
    proxy_read_timeout 300s;
    location /embed/ {{
        if ($apprentice_keyed = "") {{ return 404; }}
        proxy_pass http://$apprentice_keyed;
    }}
    location ~ ^/(widget\\.js$|ui/|favicon\\.ico$) {{
        set $apprentice_any $apprentice_cell;
        if ($apprentice_any = "") {{ set $apprentice_any {first}; }}
        proxy_pass http://$apprentice_any;
    }}
    location = / {{
        if ($apprentice_cell = "") {{ return 404; }}
        set $apprentice_wanted $apprentice_workspace$arg_workspace;
        # a workspace's own host shows that one, unless another one is asked for
        if ($apprentice_wanted = $apprentice_workspace) {{
            set $args workspace=$apprentice_wanted;
        }}
        proxy_pass http://$apprentice_cell;
    }}
    location / {{
        if ($apprentice_cell = "") {{ return 404; }}
        proxy_pass http://$apprentice_cell;
    }}
}}
"""


@dataclass(frozen=True)
class Routed:
    """A cell with what the router is to send there."""

    name: str
    server: str
    """HOST:PORT."""
    workspaces: Sequence[str]
    keys: Sequence[str]
    """Valid embed keys."""


def nginx_config(cells: Sequence[Routed], *, domain: str, listen: str = "80") -> str:
    """The file to include in nginx's `http` block.

    Raises BadInput for a domain or a `listen` that is none, two cells with one workspace, or none.
    """
    if not _DOMAIN.fullmatch(domain):
        raise BadInput(f"{domain[:100]!r} is no domain: give one such as chat.example.com.")
    if not _LISTEN.fullmatch(listen):
        raise BadInput(f"{listen[:100]!r} is nothing to listen on: give one such as 443 ssl.")
    if not cells:
        raise BadInput("There is no cell to send anybody to: `apprentice cells add` notes one.")
    seen: dict[str, str] = {}
    for one in cells:
        for name in one.workspaces:
            if name in seen:
                raise BadInput(
                    f"The cells {seen[name]!r} and {one.name!r} both have a workspace {name!r}: "
                    "one of them needs another name (make a new one and delete this)."
                )
            seen[name] = one.name
    hosts = [(f"{one.name}.cells.{domain}", one.name) for one in cells]
    hosts += [(f"{name}.{domain}", one.name) for one in cells for name in one.workspaces]
    names = [(f"{name}.{domain}", name) for one in cells for name in one.workspaces]
    keys = [(key, one.name) for one in cells for key in one.keys]
    return _CONFIG.format(
        cells=_lines((host, _upstream(cell)) for host, cell in hosts),
        workspaces=_lines(names),
        keys=_lines((key, _upstream(cell)) for key, cell in keys),
        upstreams="\n".join(
            f"upstream {_upstream(one.name)} {{ server {one.server}; keepalive 32; }}"
            for one in cells
        ),
        first=_upstream(cells[0].name),
        domain=domain,
        listen=listen,
    )


def _upstream(cell: str) -> str:
    return f"apprentice_{cell}"


def _lines(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f'    "{left}" "{right}";' for left, right in pairs)
