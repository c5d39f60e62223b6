"""The queue's list: searching it, page by page, and looking further back."""

import pytest

from assistant.admin import queue_list
from assistant.admin.feedback import FeedbackTab
from assistant.security import may_review


@pytest.fixture
def queue(tab):
    return tab(FeedbackTab)


def press(office, work, *inputs, who="rita"):
    return office.press(who, may_review, work, *inputs)


def ids(queue, shown):
    return [value for _, value in shown[queue.rows]["choices"]]


def test_a_search_shows_the_newest_with_the_words_and_stays_after_a_decision(office, queue):
    given = [office.correction(f"Heron {number}?") for number in range(3)]
    office.correction("Gull?")
    shown = press(office, queue.first_page, "new", None, "HERON")
    assert ids(queue, shown) == [item.id for item in reversed(given)]
    assert "3 rows have these words; all were looked through." in shown[queue.list.looked]
    assert shown[queue.list.further]["visible"] is False
    shown = press(office, queue.reject_it, "new", None, given[2].id, None, "heron")
    assert ids(queue, shown) == [given[1].id, given[0].id]
    nothing = press(office, queue.first_page, "new", None, "cormorant")
    assert ids(queue, nothing) == [] and "No row has" in nothing[queue.list.looked]
    assert nothing[queue.shown] == "Nothing here."
    for words in ("", "  ", None):
        whole = press(office, queue.first_page, "new", None, words)
        assert len(ids(queue, whole)) == 3 and whole[queue.list.looked] == ""


def test_pages_of_a_search(office, queue, monkeypatch):
    monkeypatch.setattr(queue_list, "PAGE", 2)
    given = [office.correction(f"Heron {number}?").id for number in range(5)]
    shown = press(office, queue.first_page, "new", None, "heron")
    assert ids(queue, shown) == given[:2:-1] and shown[queue.list.older]["visible"] is True
    assert shown[queue.list.looked] == ""
    shown = press(office, queue.next_page, "new", None, None, "heron")
    assert ids(queue, shown) == [given[2], given[1]]
    shown = press(office, queue.next_page, "new", shown[queue.list.before], None, "heron")
    assert ids(queue, shown) == [given[0]] and shown[queue.list.older]["visible"] is False


def test_it_says_how_far_it_looked_and_goes_on(office, queue, monkeypatch):
    monkeypatch.setattr(queue_list, "NEAR", 2)
    oldest = office.correction("Heron?").id
    given = [office.correction(f"Gull {number}?").id for number in range(4)]
    shown = press(office, queue.first_page, "new", None, "heron")
    assert ids(queue, shown) == [] and shown[queue.list.further]["visible"] is True
    assert "No row has these words among 2, back to 20" in shown[queue.list.looked]
    assert shown[queue.list.looked_to] == given[2]
    further = press(office, queue.look_further, "new", shown[queue.list.looked_to], None, "heron")
    assert ids(queue, further) == [oldest]
    assert "all were looked through" in further[queue.list.looked]
    none = press(office, queue.look_further, "new", given[2], None, "tern")
    assert queue.rows not in none and "all were looked through" in none[queue.list.looked]
    assert none[queue.list.further]["visible"] is False
