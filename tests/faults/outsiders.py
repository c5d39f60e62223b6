"""Who may not: everybody but the admin and the owner, and these by what is not theirs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from itsdangerous import URLSafeTimedSerializer

from assistant import security
from assistant.security import SESSION_COOKIE, VISITOR_COOKIE
from storage.datadir import read_secret
from tests.faults.besieged import Fort


@dataclass(frozen=True)
class Outsider:
    """Somebody, with what they send."""

    name: str
    cookies: dict[str, str]
    headers: dict[str, str]


def outsiders(house: Fort) -> list[Outsider]:
    """Everybody but the admin and the owner, and both of them by something that is not theirs."""
    ada, mo = house.people["ada"].cookies, house.people["mo"].cookies
    secret = read_secret(house.app.datadir, "cookies")
    claim = URLSafeTimedSerializer(secret, salt="session").loads(ada[SESSION_COOKIE])
    forged = URLSafeTimedSerializer("another", salt="session").dumps(claim)
    swapped = URLSafeTimedSerializer(secret, salt="visitor").dumps(claim)
    older = URLSafeTimedSerializer(secret, salt="session")
    older.make_signer = _aged(older, security.SESSION_SECONDS + 10)  # type: ignore[method-assign]
    payload, rest = ada[SESSION_COOKIE].split(".", 1)
    evil = {"origin": "https://evil.example"}
    by_cookie = {
        "anonymous": {},
        "other visitor": house.people["other visitor"].cookies,
        "other user": house.people["nell"].cookies,
        "other workspace": house.people["olga"].cookies,
        "expired": {SESSION_COOKIE: older.dumps(claim)},
        "forged": {SESSION_COOKIE: forged},
        "another's salt": {SESSION_COOKIE: swapped, VISITOR_COOKIE: ada[SESSION_COOKIE]},
        "changed": {SESSION_COOKIE: f"{payload[:-2]}AA.{rest}"},
        "alg none": {SESSION_COOKIE: "eyJhbGciOiJub25lIn0.eyJ1c2VyIjoxfQ."},
        "junk": {SESSION_COOKIE: "\xff" * 40, VISITOR_COOKIE: "'; drop table users"},
    }
    found = [Outsider(name, cookies, {}) for name, cookies in by_cookie.items()]
    found += [
        Outsider("admin from elsewhere", ada, evil),
        Outsider("owner from elsewhere", mo, evil),
        Outsider("admin, other site", ada, {"sec-fetch-site": "cross-site"}),
    ]
    for name, header in (
        ("x-api-key", {"x-api-key": house.keys["team"]}),
        ("cookie as key", {"authorization": f"Bearer {ada[SESSION_COOKIE]}"}),
        ("embed key", {"authorization": f"Bearer {house.keys['embed']}"}),
        ("basic", {"authorization": f"Basic {house.keys['team']}"}),
        ("revoked", {"authorization": f"Bearer {house.ids['revoked']}"}),
        ("key of another workspace", {"authorization": f"Bearer {house.keys['other']}"}),
    ):
        found.append(Outsider(name, {}, header))
    return found


def _aged(signer: Any, seconds: int) -> Callable[[bytes], Any]:
    make = signer.make_signer

    def made(salt: Any = None) -> Any:
        one = make(salt)
        now = one.get_timestamp
        one.get_timestamp = lambda: now() - seconds
        return one

    return made
