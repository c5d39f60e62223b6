"""What may be typed about cells."""

from pathlib import Path

from assistant.verb_parser import Verbs, add, noun


def cell_verbs(verbs: Verbs) -> None:
    """Add `cells` with its verbs."""
    group = noun(verbs, "cells", "several chat servers as one fleet: add, list, config, move")
    new = add(group, "add", "cells add", "make the data directory --data a cell")
    new.add_argument("name", metavar="NAME")
    new.add_argument(
        "--address", metavar="URL", required=True, help="where its server is to answer: http://H:P"
    )
    add(group, "list", "cells list", "all cells with their workspaces and what moves")
    config = add(group, "config", "cells config", "the configuration of nginx before the cells")
    config.add_argument("--domain", metavar="D", help="workspaces are at WORKSPACE.D; remembered")
    config.add_argument("--listen", metavar="L", help="as nginx takes it (default: 80); remembered")
    config.add_argument(
        "--to", metavar="FILE", type=Path, help="write it there, now and at each move"
    )
    config.add_argument(
        "--reload", metavar="COMMAND", help='run after that, such as "nginx -s reload"; remembered'
    )
    move = add(group, "move", "cells move", "move a workspace to another cell, or finish that")
    move.add_argument("name", metavar="WORKSPACE")
    move.add_argument("--to", metavar="CELL", required=True)
