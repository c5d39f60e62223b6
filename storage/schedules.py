"""When rounds start by themselves, as an admin types it: a crontab line, "every N", idle hours.

Times are the machine's local time, as cron's are. APScheduler's trigger computes them; nothing
here runs.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo

from storage.errors import BadInput
from storage.text import clean

_EVERY = re.compile(
    r"every\s+(\d{1,6})(?:\s+(?:new\s+)?(?:approved\s+)?(?:pairs?|corrections?))?", re.IGNORECASE
)
_HOURS = re.compile(r"\s*(\d{1,2})\s*-\s*(\d{1,2})\s*")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DAY_RANGE = re.compile(r"(?P<first>\d|\*)(?:-(?P<last>\d))?(?:/(?P<step>\d))?")


def parse_schedule(text: str) -> str:
    """The schedule as it is kept: "", "every N" or five crontab fields. BadInput otherwise."""
    text = " ".join(clean(text).split())
    if not text:
        return ""
    every = _EVERY.fullmatch(text)
    if every and int(every[1]) > 0:
        return f"every {int(every[1])}"
    try:
        if next_time(text, datetime.now().astimezone()) is None:
            raise ValueError("that time never comes")
    except (ValueError, LookupError) as error:
        raise BadInput(
            f"schedule cannot be {text!r} ({error}): give five crontab fields such as "
            '"0 2 * * 1-5" (weekdays at two), "every 20" (approved corrections), or "".'
        ) from None
    return text


def parse_crontab(text: str) -> str:
    """As `parse_schedule`, without "every N": nothing is counted here."""
    text = parse_schedule(text)
    if pairs_of(text):
        raise BadInput(
            f"crawl_schedule cannot be {text!r}: give five crontab fields such as "
            '"0 3 * * *" (every night at three), or "".'
        )
    return text


def pairs_of(schedule: str) -> int:
    """N of "every N"; 0 for another schedule."""
    every = _EVERY.fullmatch(schedule)
    return int(every[1]) if every else 0


def next_time(crontab: str, since: datetime, zone: tzinfo | None = None) -> datetime | None:
    """The first time of a crontab line at or after `since`; None if it never comes.

    `zone` None is the machine's. Raises ValueError for a line that is none.
    """
    from apscheduler.triggers.cron import CronTrigger  # late: 30 ms, and few ask

    fields = crontab.split()
    if len(fields) != 5:
        raise ValueError(f"{len(fields)} fields, not 5")
    line = " ".join([*fields[:4], _named_days(fields[4])])
    found = CronTrigger.from_crontab(line, timezone=zone).get_next_fire_time(None, since)
    return found if isinstance(found, datetime) else None


def parse_idle_hours(text: str) -> str:
    """Idle hours as they are kept: "" or "22-6". BadInput otherwise."""
    text = clean(text).strip()
    if not text:
        return ""
    found = _HOURS.fullmatch(text)
    if not found or not all(int(hour) <= 24 for hour in found.groups()):
        raise BadInput(
            f'idle_hours cannot be {text!r}: give two hours from 0 to 24, such as "22-6", or "".'
        )
    return f"{int(found[1])}-{int(found[2])}"


def in_idle_hours(idle_hours: str, now: datetime) -> bool:
    """Whether the hour of `now` is among them; equal hours and "" mean the whole day."""
    found = _HOURS.fullmatch(idle_hours)
    if not found:
        return True
    first, last = (int(hour) % 24 for hour in found.groups())
    if first <= last:
        return first == last or first <= now.hour < last
    return now.hour >= first or now.hour < last


def _named_days(field: str) -> str:
    """Week days as names: crontab's 0 and 7 are Sunday, APScheduler 3's 0 is Monday."""
    return ",".join(map(_named, field.split(",")))


def _named(part: str) -> str:
    found = _DAY_RANGE.fullmatch(part)
    if not found or part == "*":
        return part
    if found["first"] == "*":
        first, last = 0, 6
    else:
        first = int(found["first"])
        last = int(found["last"] or (6 if found["step"] else first))
    step = int(found["step"] or 1)
    if not (first <= last <= 7 and step):
        raise ValueError(f"{part} is no range of week days")
    return ",".join(dict.fromkeys(_DAYS[day % 7] for day in range(first, last + 1, step)))


PARSERS: Mapping[str, Callable[[str], str]] = {
    "schedule": parse_schedule,
    "idle_hours": parse_idle_hours,
    "crawl_schedule": parse_crontab,
}
"""By settings field."""
