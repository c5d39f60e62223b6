"""Schedules and idle hours as an admin types them."""

from datetime import UTC, datetime

import pytest

from storage.errors import BadInput
from storage.schedules import (
    in_idle_hours,
    next_time,
    pairs_of,
    parse_crontab,
    parse_idle_hours,
    parse_schedule,
)

SATURDAY = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "typed, kept, pairs",
    [
        ("", "", 0),
        ("  0 2  * * 1-5 ", "0 2 * * 1-5", 0),
        ("every 20", "every 20", 20),
        ("Every 20 new approved pairs", "every 20", 20),
        ("every 20 corrections", "every 20", 20),
    ],
)
def test_what_may_be_typed(typed, kept, pairs):
    assert parse_schedule(typed) == kept
    assert pairs_of(kept) == pairs


@pytest.mark.parametrize(
    "typed",
    ["2 o'clock", "0 25 * * *", "0 2 * *", "every 0", "every few", "0 2 * * 9", "0 2 30 2 *"],
)
def test_what_may_not_gets_a_sentence(typed):
    with pytest.raises(BadInput, match="five crontab fields"):
        parse_schedule(typed)


def test_a_website_is_taken_in_by_the_clock_only():
    assert parse_crontab(" 0  3 * * * ") == "0 3 * * *" and parse_crontab("") == ""
    for typed in ("every 5", "nightly"):
        with pytest.raises(BadInput, match="five crontab fields"):
            parse_crontab(typed)


@pytest.mark.parametrize(
    "crontab, comes",
    [
        ("0 2 * * *", datetime(2026, 11, 22, 2, tzinfo=UTC)),
        ("0 2 * * 1-5", datetime(2026, 11, 23, 2, tzinfo=UTC)),  # a Monday, as cron counts
        ("0 2 * * 0", datetime(2026, 11, 22, 2, tzinfo=UTC)),  # a Sunday
        ("0 2 * * 5-7", datetime(2026, 11, 22, 2, tzinfo=UTC)),
        ("0 2 * * */3", datetime(2026, 11, 22, 2, tzinfo=UTC)),  # 0, 3, 6
        ("0 2 * * wed,fri", datetime(2026, 11, 25, 2, tzinfo=UTC)),
        ("0 12 * * *", SATURDAY),
    ],
)
def test_week_days_are_those_of_cron(crontab, comes):
    assert next_time(crontab, SATURDAY, UTC) == comes


def at(hour):
    return SATURDAY.replace(hour=hour)


@pytest.mark.parametrize(
    "hours, inside, outside",
    [
        ("22-6", (22, 23, 0, 5), (6, 12, 21)),
        ("9-17", (9, 16), (8, 17, 23)),
        ("20-24", (20, 23), (0, 19)),
        ("", (0, 12), ()),
        ("0-24", (0, 12, 23), ()),
    ],
)
def test_idle_hours_may_go_over_midnight(hours, inside, outside):
    assert parse_idle_hours(hours) == hours
    assert all(in_idle_hours(hours, at(hour)) for hour in inside)
    assert not any(in_idle_hours(hours, at(hour)) for hour in outside)


@pytest.mark.parametrize("typed", ["night", "22", "22-25", "22:00-6:00"])
def test_other_hours_are_refused(typed):
    with pytest.raises(BadInput, match="22-6"):
        parse_idle_hours(typed)
