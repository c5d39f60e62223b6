"""The command line.

    apprentice serve
    apprentice ingest handbook/ --workspace support
    apprentice ask "How long is the warranty?" --json
    apprentice tune --dry-run

`parser` says what may be typed, `verbs` runs it here or in the server, `shows` and `printing` say
what it looks like. Exit codes: 0 done; 1 what was asked for did not come about; 2 bad input or a
refusal; 130 stopped by Ctrl-C.
"""

import os
import sqlite3
import sys
from typing import TYPE_CHECKING

from assistant.parser import arguments_of, build_parser, complete
from storage.errors import ApprenticeError

if TYPE_CHECKING:
    from argparse import Namespace

    from assistant.settings import Settings
    from assistant.verbs import Events


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    try:
        return _run(complete(build_parser(), argv))
    except SystemExit as end:  # argparse, after it printed help or a mistake
        return end.code if isinstance(end.code, int) else 2
    except ApprenticeError as error:
        from assistant.printing import plain

        print(f"apprentice: {plain(error)}", file=sys.stderr)
        return 2
    except sqlite3.DatabaseError as error:
        from storage.database import is_damage

        if not is_damage(error):
            raise  # a fault of ours
        said = f"The database is damaged ({error}): `apprentice doctor` says what to do."
        print(f"apprentice: {said}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("apprentice: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output left (`| head`); the interpreter's last flush must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _run(given: "Namespace") -> int:
    # Libraries' own bars ("Loading weights") would write over ours; tqdm reads this when imported.
    os.environ.setdefault("TQDM_DISABLE", "1")
    # bitsandbytes, which PEFT imports, hands functions to torch.compile, and that loads the whole
    # compiler: 2.5 of 6.7 s of processor time. Nothing here is compiled. Children inherit it.
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    from assistant.openmp import be_fair_to_others
    from assistant.settings import read_settings

    be_fair_to_others()
    if given.verb == "serve":
        from assistant.serve import serve

        given_now = {"data": given.data, "host": given.host, "port": given.port}
        return serve(read_settings(**given_now, cell=given.cell))
    settings = read_settings(data=given.data)
    if given.verb == "demo":
        from assistant.demo import run_demo

        return run_demo(settings, serve=not given.no_serve, fresh=given.fresh)
    return _run_verb(settings, given)


def _run_verb(settings: "Settings", given: "Namespace") -> int:
    from assistant.asking import ask_person
    from assistant.printing import Printer
    from assistant.shows import SHOWS
    from assistant.verbs import run

    printer = Printer(SHOWS[given.verb], json_wanted=given.json)
    arguments = ask_person(given.verb, arguments_of(given))
    try:
        if given.verb == "doctor":
            from assistant.doctor import examine

            events = examine(settings, bases=given.bases)
        elif given.verb == "restore":
            from assistant.commands.backup import restore

            events = restore(settings, given.file.expanduser().absolute())
        elif given.noun == "space":
            events = _space(settings, given)
        elif given.noun == "cells":
            events = _cells(settings, given)
        else:
            events = run(settings, given.verb, arguments, printer.progress)
        try:
            while True:
                printer.event(next(events))
        except StopIteration as end:
            printer.close()
            return int(end.value or 0)
        finally:
            events.close()
    finally:
        printer.leave_bar()


def _space(settings: "Settings", given: "Namespace") -> "Events":
    from assistant.commands import space

    if given.verb == "space check":
        return space.check(settings)
    return space.build(given.to.expanduser().absolute(), given.hardware)


def _cells(settings: "Settings", given: "Namespace") -> "Events":
    from assistant.commands import cells

    if given.verb == "cells add":
        return cells.add(settings, given.name, given.address)
    if given.verb == "cells list":
        return cells.list_all(settings)
    if given.verb == "cells config":
        router = {"domain": given.domain, "listen": given.listen, "reload": given.reload}
        return cells.config(settings, given.to, router)
    return cells.move(settings, given.name, given.to)
