"""Cells as a fleet: who may be one, what the router is told, what a cut-off move leaves."""

import os
from contextlib import closing

import pytest

from assistant import fleet
from storage.cells import begin_move, list_cells, opened_cells, set_router, take_step
from storage.database import open_database
from storage.datadir import open_datadir, read_secret
from storage.errors import BadInput, Moving, NotFound, Refused
from storage.fences import place_of, set_place
from storage.id_ranges import BITS
from storage.users import create_user, list_users
from storage.workspaces import create_workspace, workspace
from tests.fleet import NAME, known, owners, settings_at, settled, shop_in_a, two_cells


def test_a_new_cell_signs_cookies_as_the_first_and_knows_its_admins(tmp_path):
    first = open_datadir(tmp_path / "a")
    with open_database(first.database) as db:
        boss = create_user(db, "boss", "hash", "admin")
        create_user(db, "ada", "hash", "member")
    a, b = two_cells(tmp_path)
    assert read_secret(a.datadir, "cookies") == read_secret(b.datadir, "cookies")
    assert (b.datadir.secret / "cookies").stat().st_mode & 0o777 == 0o600
    with open_database(b.datadir.database) as db:
        assert list_users(db) == [boss]
        assert create_workspace(db, "new").id > 1 << BITS


def test_a_house_in_use_is_the_first_cell_or_none(tmp_path):
    two_cells(tmp_path)
    third = open_datadir(tmp_path / "c")
    with open_database(third.database) as db:
        create_workspace(db, "here-already")
    with pytest.raises(Refused, match="is in use"):
        fleet.add(settings_at(tmp_path, "c"), "c", "http://127.0.0.1:3")
    with pytest.raises(BadInput, match="cannot name a cell"):
        fleet.add(settings_at(tmp_path, "d"), "D!", "http://127.0.0.1:3")
    with opened_cells(tmp_path / "cells.db") as cells:
        assert len(list_cells(cells)) == 2


def test_a_server_is_told_its_data_and_address(tmp_path):
    two_cells(tmp_path, ports=(7861, 7862))
    given = fleet.as_cell(settings_at(tmp_path, "elsewhere", cell="b"))
    assert (given.data, given.host, given.port) == (tmp_path / "b", "127.0.0.1", 7862)
    with pytest.raises(NotFound, match="no cell 'c'"):
        fleet.as_cell(settings_at(tmp_path, "elsewhere", cell="c"))


def test_the_router_is_written_and_told(tmp_path):
    two_cells(tmp_path)
    shop_in_a(tmp_path)
    place = tmp_path / "router.conf"
    with opened_cells(tmp_path / "cells.db") as cells:
        with pytest.raises(BadInput, match="domain is not known"):
            fleet.router_text(cells)
        assert fleet.tell_router(cells) == ""  # there is none
        told = {"file": str(place), "reload": f"cp {place} {tmp_path / 'read.conf'}"}
        set_router(cells, domain="chat.example.com", **told)
        assert fleet.tell_router(cells) == ""
        assert place.read_text() == (tmp_path / "read.conf").read_text()
        assert f'"{NAME}.chat.example.com" "apprentice_a"' in place.read_text()
        set_router(cells, reload="cp /nowhere/at/all /nowhere/else")
        assert "cannot stat" in fleet.tell_router(cells)
        set_router(cells, file=str(tmp_path / "no" / "such" / "folder"))
        assert "not told" in fleet.tell_router(cells)


def begun(folder, step):
    """A move that came so far and died; the workspace's id."""
    two_cells(folder)
    shop = shop_in_a(folder)
    with opened_cells(folder / "cells.db") as cells:
        move = begin_move(cells, NAME, shop.id, "a", "b", "cli:t")
        take_step(cells, move, step)
    return shop.id


def test_cut_off_while_it_stood_still_the_former_cell_answers_again(tmp_path):
    number = begun(tmp_path, "held")
    with closing(open_database(known(tmp_path, "a").datadir.database)) as db:
        set_place(db, number, "moving", "all")
        settled(tmp_path)
        assert place_of(db, number) == "here"
    assert owners(tmp_path) == ["a"]


def test_cut_off_after_it_was_given_away_the_former_cell_does_not(tmp_path):
    number = begun(tmp_path, "flipped")
    settled(tmp_path)
    with closing(open_database(known(tmp_path, "a").datadir.database)) as db:
        assert place_of(db, number) == "gone"
        with pytest.raises(Moving):
            workspace(db, NAME)


def test_nothing_is_settled_while_a_move_is_at_work(tmp_path):
    import fcntl

    number = begun(tmp_path, "held")
    with closing(open_database(known(tmp_path, "a").datadir.database)) as db:
        set_place(db, number, "moving", "all")
        with open(tmp_path / "cells.db-moving", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            fleet.settle(settings_at(tmp_path, "a", cell="a"))
            assert place_of(db, number) == "moving"
    fleet.settle(settings_at(tmp_path, "unused"))  # no cell: nothing to look at
    assert os.path.exists(tmp_path / "cells.db-moving")
