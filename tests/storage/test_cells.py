"""The file of cells: who is where, and what moves."""

import multiprocessing
import stat

import pytest

from storage.cells import (
    add_cell,
    begin_move,
    cell,
    list_cells,
    moving_lock,
    new_range,
    opened_cells,
    router_settings,
    set_router,
    take_step,
    unfinished,
)
from storage.errors import BadInput, NotFound, Refused


@pytest.fixture
def cells(tmp_path):
    with opened_cells(tmp_path / "cells.db", make=True) as db:
        add_cell(db, "a", tmp_path / "a", "http://127.0.0.1:7861")
        add_cell(db, "b", tmp_path / "b", "http://127.0.0.1:7862/")
        yield db


def test_cells_are_told_apart(cells, tmp_path):
    assert [one.name for one in list_cells(cells)] == ["a", "b"]
    assert (cell(cells, "b").host, cell(cells, "b").port) == ("127.0.0.1", 7862)
    assert stat.S_IMODE((tmp_path / "cells.db").stat().st_mode) == 0o600
    with pytest.raises(NotFound, match="no cell 'c'"):
        cell(cells, "c")
    for name, data, address in (
        ("a", "c", "http://127.0.0.1:7863"),
        ("c", "a", "http://127.0.0.1:7863"),
        ("c", "c", "http://127.0.0.1:7861"),
    ):
        with pytest.raises(BadInput, match="has .* already"):
            add_cell(cells, name, tmp_path / data, address)
    for wrong in ("127.0.0.1:1", "https://a.b", "http://a.b/path", "http://", "http://a.b?c"):
        with pytest.raises(BadInput, match="no address of a cell"):
            add_cell(cells, "c", tmp_path / "c", wrong)


def test_no_file_of_cells(tmp_path):
    with (
        pytest.raises(NotFound, match="apprentice cells add"),
        opened_cells(tmp_path / "none.db"),
    ):
        pass
    assert not (tmp_path / "none.db").exists()


def test_a_move_has_one_owner_at_each_step(cells):
    made = begin_move(cells, "shop", 2, "a", "b", "cli:t")
    assert begin_move(cells, "shop", 2, "a", "b", "cli:u") == made  # cut off, begun again
    with pytest.raises(Refused, match="from a to b: finish that"):
        begin_move(cells, "shop", 2, "a", "c", "cli:t")
    said = [take_step(cells, made, step).owner for step in ("copying", "held", "flipped")]
    assert said == ["a", "a", "b"]
    assert take_step(cells, made, "settled", proof="p").owner == "b"
    done = take_step(cells, made, "done")
    assert (done.owner, done.proof) == ("b", "p") and done.ended_at >= done.flipped_at
    assert unfinished(cells) == []
    assert begin_move(cells, "shop", 2, "b", "a", "cli:t").id == made.id + 1


def test_each_range_is_above_all_before(cells):
    assert [new_range(cells, name) for name in "aba"] == [1, 2, 3]


def test_the_router_is_remembered(cells):
    set_router(cells, domain="chat.example.com", listen=None)
    set_router(cells, domain=None, reload="nginx -s reload")
    assert router_settings(cells) == {"domain": "chat.example.com", "reload": "nginx -s reload"}


def held(path, ready, end):
    with moving_lock(path):
        ready.set()
        end.wait(10)


def test_one_move_at_a_time_and_none_after_its_process_is_gone(cells, tmp_path):
    context = multiprocessing.get_context("fork")
    ready, end = context.Event(), context.Event()
    other = context.Process(target=held, args=(tmp_path / "cells.db", ready, end))
    other.start()
    try:
        assert ready.wait(10)
        with (
            pytest.raises(Refused, match="Another workspace is being moved"),
            moving_lock(tmp_path / "cells.db"),
        ):
            pass
    finally:
        other.kill()
        other.join()
    with moving_lock(tmp_path / "cells.db"):
        pass
