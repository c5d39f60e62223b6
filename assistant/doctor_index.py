"""What `apprentice doctor` says of the Chroma server that keeps the vectors, where there is one."""

from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address

from sqlite_utils import Database

from assistant.doctor_check import Check
from assistant.index_place import chroma_place
from assistant.settings import Settings
from knowledge.chroma_place import ChromaPlace, IndexAway
from storage.errors import BadInput

NAME = "chroma server"


def chroma_server(settings: Settings, db: Database) -> Iterator[Check]:
    """It answers, lets us in, and its token does not travel in the open; nothing for the folder."""
    try:
        place = chroma_place(settings, db)
    except BadInput as error:
        yield Check(NAME, "fail", str(error), "Correct it; nothing is served until then.")
        return
    if place is None:
        return
    from knowledge.dense_server import ServerIndex

    with closing(ServerIndex(place)) as index:
        try:
            said = f"{place.shown}, version {index.version()}, collections {place.prefix}.*"
        except IndexAway as error:
            yield Check(NAME, "fail", str(error), "Documents are found by words until it answers.")
            return
    if place.token and _in_the_open(place):
        text = f"{said}; the token travels unencrypted"
        yield Check(NAME, "warn", text, "Give an https address, or a private network.")
    else:
        yield Check(NAME, "ok", said)


def _in_the_open(place: ChromaPlace) -> bool:
    host, _, tls = place.address
    try:
        near = ip_address(host).is_loopback
    except ValueError:
        near = host == "localhost"
    return not (tls or near)
