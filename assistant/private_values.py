"""Secrets and personal data in a text: where each stands, what kind it is, what it is. Pure.

Only what can be told by more than its look is found: by a checksum (IBAN, card, national numbers),
by a country's numbering plan (telephone), by a prefix that its issuer gave it (API keys), or by
what stands before it ("password:"). So that order and part numbers, dates, prices, versions and
UUIDs stay as they are; what has no such mark, names and addresses, is not found.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

EMAIL, PHONE, IBAN, CARD, ID = "e-mail", "phone", "IBAN", "card", "ID number"
API_KEY, PRIVATE_KEY, TOKEN, PASSWORD = "API key", "private key", "token", "password"
NEAR = 30
"""Characters before a number in which a word says what it is."""
REGIONS = ("DE", "GB", "FR", "ES", "US")
"""Whose national numbers are known without a country's code; the chat's languages, and the US."""


@dataclass(frozen=True, slots=True)
class Value:
    """One secret or piece of personal data in a text."""

    kind: str
    start: int
    end: int
    key: str
    """The same for the same value however it is written: with spaces, in capitals, with +49."""


_MAYBE = re.compile(
    r"@|\d[\d ()./-]{5,}\d|PRIVATE KEY|\beyJ|[A-Z]{2}\d{2}|[A-Z]{6}\d\d|"
    r"(?:sk|rk|pk|hf|gh.|xox.|pat|apprentice|embed)[_-]|AKIA|ASIA|AIza|"
    r"pass|kennwort|pwd|contrase|\bmdp\b|secret|api",
    re.IGNORECASE,
)
_PRIVATE = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
_JWT = re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{10,}")
# The prefixes that issuers document, and this house's own (`storage.keys`).
_API_KEY = re.compile(
    r"(?<![\w-])(?:(?P<loose>sk-[\w-]{20,}|xox[abeprs]-[\w-]{10,})|gh[opsur]_[A-Za-z0-9]{36,}|"
    r"github_pat_\w{22,}|glpat-[\w-]{20,}|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{35}|"
    r"hf_[A-Za-z0-9]{30,}|[spr]k_(?:live|test)_[A-Za-z0-9]{16,}|(?:apprentice|embed)_[\w-]{43})"
    r"(?![\w-])"
)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]*:(?P<value>[^\s/@]{1,200})@", re.IGNORECASE)
_WORDS = (
    r"(?:password|passwort|passwd|passphrase|pwd|kennwort|contraseña|mot de passe|mdp|"
    r"secret[ _-]key|client[ _-]secret|api[ _-]key|access[ _-]token)"
)
_SAID = re.compile(
    rf"\b{_WORDS}[\"']?\s{{0,3}}(?P<sign>:|=|\bis\b|\bist\b|\blautet\b|\bes\b|\best\b)\s{{0,3}}"
    r"[\"'`]?(?P<value>[^\s\"'`<>]{4,200})",
    re.IGNORECASE,
)
_PLAIN_WORDS = (
    "password passwort string null none true false required optional forgotten unknown reset "
    "wrong invalid incorrect expired missing needed hidden empty unchanged vergessen erforderlich "
    "unbekannt falsch abgelaufen pflichtfeld oubliée oublié requis olvidada obligatorio "
    "changed secret here"
)
_NO_PASSWORD = frozenset(_PLAIN_WORDS.split())
_EMAIL = re.compile(
    r"(?<![\w.%+@/-])(?P<local>[\w%+-]+(?:[.][\w%+-]+){0,8})@"
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,6}(?P<top>[^\W\d_]{2,24})(?![\w@-])"
)
_IN_URL = re.compile(r"://[^\s/@]{0,100}\Z")
_NO_TOP = frozenset(
    ("png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "py", "md", "txt", "zip")
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}", re.IGNORECASE)
_CARD = re.compile(r"(?<![\w.,+-])\d(?:[ -]?\d){12,30}(?![\w-]|[.,]\d)")
_GROUPS = re.compile(r"\d{13,19}|\d{4}(?:[ -]?\d{4}){3}|\d{4}[ -]?\d{6}[ -]?\d{4,5}")
# Visa; Mastercard; American Express; Discover; JCB; Diners
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|"
    r"3[47]\d{13}|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}"
)
_PHONE = re.compile(r"(?<![\w.,:/@#=+-])(?:\+|\()?\d[\d ()./-]{5,22}\d(?![\w@=-]|[.,:/]\d)")
_DATE = re.compile(r"\d{4}[./-]\d{1,2}[./-]\d{1,2}\b|\d{1,2}([./-])\d{1,2}\1\d{2,4}\b")
# 030 1234567, 0171/1234567, 06 12 34 56 78, (415) 555-2671: as no other number is written
_NATIONAL = re.compile(r"0\d{2,4}[ /]{1,3}\d[\d -]{4,10}|0\d(?:[ .]\d\d){4}|\(0?\d{2,4}\)[ -]?\d.*")
_TELLING = re.compile(rf"(?:\+|00).*|{_NATIONAL.pattern}")
_CALL = re.compile(
    r"\b(?:tel|fon|phone|telefon\w*|téléphone|teléfono|mobil\w*|móvil|handy\w*|cell|call\w*|fax|"
    r"(?:an|rück)?ruf\w*|whatsapp|sms|portable|appel\w*|llam\w*|erreich\w*|reach)\b",
    re.IGNORECASE,
)
_OTHER_NUMBER = re.compile(
    r"(?:order|invoice|ticket|track|part|serial|article|item|customer|product|case|"
    r"bestell|auftrag|rechnung|artikel|teile|serien|kunden|vorgang|sendung|"
    r"commande|facture|pedido|factura|EAN|ISBN|SKU)[\w-]*[\s.:#°º]*(?:(?:no|nr|number|num|id|is|"
    r"ist|n)\b[\s.:#°º]*){0,2}$",
    re.IGNORECASE,
)
_TAX = r"\b(?:steuer-?id\w*|steuerliche\w*|steuernummer|idnr|tax id|tin|bsn|burgerservice\w*|pesel|"
_ID_WORDS = re.compile(_TAX + r"dni|nie|nif)\b", re.IGNORECASE)


def values(text: str) -> list[Value]:
    """All that is found, in order of place; none overlaps another."""
    if not _MAYBE.search(text):
        return []
    found: list[Value] = []
    for look in _LOOKS:
        for one in look(text):
            if all(one.end <= other.start or one.start >= other.end for other in found):
                found.append(one)
    return sorted(found, key=lambda one: one.start)


def masked(texts: Sequence[str], spared: Callable[[Value], bool]) -> tuple[list[str], list[Value]]:
    """The texts with a placeholder for each value that is not `spared`, and those values.

    One value has one placeholder in all of them: [e-mail], the next other one [e-mail 2].
    """
    names: dict[tuple[str, str], str] = {}
    count: dict[str, int] = {}
    hidden: list[Value] = []
    shown = []
    for text in texts:
        parts, last = [], 0
        for one in values(text):
            if spared(one):
                continue
            if (one.kind, one.key) not in names:
                count[one.kind] = nth = count.get(one.kind, 0) + 1
                names[one.kind, one.key] = f"[{one.kind} {nth}]" if nth > 1 else f"[{one.kind}]"
            parts += [text[last : one.start], names[one.kind, one.key]]
            hidden.append(one)
            last = one.end
        shown.append("".join((*parts, text[last:])))
    return shown, hidden


def _matches(kind: str, pattern: re.Pattern[str], text: str) -> Iterator[Value]:
    for one in pattern.finditer(text):
        yield Value(kind, one.start(), one.end(), one[0])


def _api_keys(text: str) -> Iterator[Value]:
    for one in _API_KEY.finditer(text):
        loose = one["loose"]  # sk-learn-like-names have neither a figure nor a long run
        if not loose or (re.search(r"\d", loose) and re.search(r"[A-Za-z0-9]{10,}", loose)):
            yield Value(API_KEY, one.start(), one.end(), one[0])


def _passwords(text: str) -> Iterator[Value]:
    for one in _URL.finditer(text):
        if _secret(one["value"]):
            yield Value(PASSWORD, one.start("value"), one.end("value"), one["value"])
    for one in _SAID.finditer(text):
        value = one["value"].rstrip(".,;:!?)]}")
        end = one.start("value") + len(value)
        marked = re.search(r"\d", value) or (one["sign"] == ":" and re.search(r"\w[^\w.]", value))
        alone = one["sign"] == ":" and re.match(r"[\"'`.;]?\s*(?:\n|$)", text[end:])
        if len(value) >= 4 and _secret(value) and (marked or alone):
            yield Value(PASSWORD, one.start("value"), end, value)


def _secret(value: str) -> bool:
    """Neither a place for one (`$PASS`, `{password}`, `****`, `user.password`) nor a plain word."""
    bare = value.strip("\"'").casefold()
    return bare not in _NO_PASSWORD and not re.match(
        r"[$%{<\[(\\]|[*x.•-]+$|[a-z_]+\.[a-z_]+$", bare
    )


def _emails(text: str) -> Iterator[Value]:
    for one in _EMAIL.finditer(text) if "@" in text else ():
        named = re.search(r"[^\W_]", one["local"]) and one["local"] != "git"  # %@gmail.com is SQL
        if (
            named
            and one["top"].casefold() not in _NO_TOP
            and not _IN_URL.search(text[max(0, one.start() - 110) : one.start()])
        ):
            yield Value(EMAIL, one.start(), one.end(), one[0].casefold())


def _ibans(text: str) -> Iterator[Value]:
    from stdnum import iban

    for one in _IBAN.finditer(text):
        for end in range(one.end(), one.start() + 14, -1):  # words in capitals may follow it
            if text[end - 1].isalnum() and not text[end : end + 1].isalnum():
                written = text[one.start() : end]
                if iban.is_valid(written):
                    yield Value(IBAN, one.start(), end, _compact(written))
                    break


def _cards(text: str) -> Iterator[Value]:
    from stdnum import luhn

    for one in _CARD.finditer(text):
        for start, end in _parts(one):
            digits = _compact(text[start:end])
            shaped = (start, end) == one.span() or _GROUPS.fullmatch(text[start:end])
            if shaped and _ISSUERS.fullmatch(digits) and luhn.is_valid(digits):
                if not _other(text, start):
                    yield Value(CARD, start, end, digits)
                break


def _ids(text: str) -> Iterator[Value]:
    """National numbers with a checksum; those of few characters only where a word names them."""
    from stdnum.ch import ssn
    from stdnum.de import idnr
    from stdnum.es import dni, nie
    from stdnum.fr import nir
    from stdnum.it import codicefiscale
    from stdnum.nl import bsn
    from stdnum.pl import pesel

    shapes = (
        (
            r"[12] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d",
            (nir,),
            False,
        ),
        (r"756\.\d{4}\.\d{4}\.\d\d", (ssn,), False),
        (r"[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z]", (codicefiscale,), False),
        (r"\d(?:[ .]?\d){8,10}|[XYZ]?\d{7,8}-?[A-Z]", (idnr, dni, nie, bsn, pesel), True),
    )
    for shape, known, named in shapes:
        for one in re.finditer(rf"(?<![\w.,-])(?:{shape})(?![\w-]|[.,]\d)", text):
            said = not named or _ID_WORDS.search(text[max(0, one.start() - NEAR) : one.start()])
            if said and any(module.is_valid(one[0]) for module in known):
                yield Value(ID, one.start(), one.end(), _compact(one[0]))


def _phones(text: str) -> Iterator[Value]:
    for one in _PHONE.finditer(text):
        if _DATE.match(one[0]):
            continue
        for start, end in _parts(one):
            written, before = text[start:end], text[max(0, start - NEAR) : start]
            if (start, end) != one.span() and not _TELLING.fullmatch(written):
                continue  # a part of the figures in a row: only where its look says so
            number = _international(written) or _national(written, before)
            if number:
                yield Value(PHONE, start, end, number)
                break


def _international(written: str) -> str | None:
    from phonenumbers import NumberParseException, is_possible_number, is_valid_number, parse

    plus = written.startswith("+")
    if not plus and not written.startswith("00"):
        return None
    try:
        number = parse(written if plus else f"+{written[2:]}")
    except NumberParseException:
        return None
    good = is_possible_number(number) if plus else is_valid_number(number)
    return str(number.national_number) if good else None


def _national(written: str, before: str) -> str | None:
    """Where a word says that it is one, or it is written as no other number is."""
    from phonenumbers import NumberParseException, is_valid_number, parse

    if _OTHER_NUMBER.search(before):
        return None
    if not _CALL.search(before) and not _NATIONAL.fullmatch(written):
        return None
    for region in REGIONS:
        try:
            number = parse(written, region)
        except NumberParseException:
            return None
        if is_valid_number(number):
            return str(number.national_number)
    return None


def _parts(found: re.Match[str]) -> list[tuple[int, int]]:
    """The figures in a row, and what of them lies between spaces, the longest first.

    Another number may stand right before or after: "2 4111 1111 1111 1111".
    """
    places = [one.span() for one in re.finditer(r"\S+", found[0])]
    spans = [(first, last) for first, _ in places for _, last in places if first < last]
    at = found.start()
    return [(at + a, at + b) for a, b in sorted(spans, key=lambda one: one[0] - one[1])]


def _other(text: str, start: int) -> bool:
    return bool(_OTHER_NUMBER.search(text[max(0, start - NEAR) : start]))


def _compact(written: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", written.upper())


_LOOKS: tuple[Callable[[str], Iterator[Value]], ...] = (
    partial(_matches, PRIVATE_KEY, _PRIVATE),
    partial(_matches, TOKEN, _JWT),
    _api_keys,
    _passwords,
    _emails,
    _ibans,
    _cards,
    _ids,
    _phones,
)
