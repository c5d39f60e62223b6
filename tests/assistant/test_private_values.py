"""What is found in a text as private, and what only looks like it."""

import json
from pathlib import Path

import pytest

import assistant.sample
from assistant.private_values import masked, values

SAMPLE = Path(assistant.sample.__file__).parent
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nabc\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"

PRIVATE = [
    ("Write to anna.k+shop@mail.example.org, please.", "e-mail", "anna.k+shop@mail.example.org"),
    ("Schreib an jörg@müller.de!", "e-mail", "jörg@müller.de"),
    ("E-mail:bo@x.co", "e-mail", "bo@x.co"),
    ("Call +49 (0)30 1234567 after six.", "phone", "+49 (0)30 1234567"),
    ("It is 0049 30 1234567.", "phone", "0049 30 1234567"),
    ("Meine Nummer: 0171/1234567", "phone", "0171/1234567"),
    ("Mon numéro est 06 12 34 56 78", "phone", "06 12 34 56 78"),
    ("ring (415) 555-2671 today", "phone", "(415) 555-2671"),
    ("phone 415-555-2671", "phone", "415-555-2671"),
    ("mi móvil 612 345 678", "phone", "612 345 678"),
    ("IBAN DE89 3704 0044 0532 0130 00 BIC COBADEFF", "IBAN", "DE89 3704 0044 0532 0130 00"),
    ("an gb29nwbk60161331926819", "IBAN", "gb29nwbk60161331926819"),
    ("Visa 4111 1111 1111 1111, 12/29", "card", "4111 1111 1111 1111"),
    ("2026 4111 1111 1111 1111 3", "card", "4111 1111 1111 1111"),
    ("3 0171/1234567", "phone", "0171/1234567"),
    ("030 1234567 2026", "phone", "030 1234567"),
    ("+49 30 1234567 2026-11-23", "phone", "+49 30 1234567"),
    ("amex 378282246310005", "card", "378282246310005"),
    ("Steuer-ID 36 574 261 809", "ID number", "36 574 261 809"),
    ("mi DNI es 54362315K", "ID number", "54362315K"),
    ("RSSMRA85T10A562S", "ID number", "RSSMRA85T10A562S"),
    ("AHV 756.9217.0769.85", "ID number", "756.9217.0769.85"),
    ("N° 2 95 10 99 126 111 93", "ID number", "2 95 10 99 126 111 93"),
    (f"key {'sk-proj-'}{'a1B2c3D4e5' * 3}", "API key", "sk-proj-" + "a1B2c3D4e5" * 3),
    ("ghp_" + "a1B2" * 9, "API key", "ghp_" + "a1B2" * 9),
    ("AKIAIOSFODNN7EXAMPLE", "API key", "AKIAIOSFODNN7EXAMPLE"),
    ("token=xoxb-1234567890-abcdefghij", "API key", "xoxb-1234567890-abcdefghij"),
    ("apprentice_" + "x1Y-" * 10 + "abc", "API key", "apprentice_" + "x1Y-" * 10 + "abc"),
    (f"here: {PEM} thanks", "private key", PEM),
    (f"Bearer {JWT}", "token", JWT),
    ("postgres://app:Sommer26@db/shop", "password", "Sommer26"),
    ("Passwort: Sommer2026!", "password", "Sommer2026"),
    ("my password is hunter2.", "password", "hunter2"),
    ("Password: swordfish", "password", "swordfish"),
    ('{"password": "c0rrect horse"}', "password", "c0rrect"),
]
PUBLIC = [
    "Order 4500012345 and invoice 2026-0047 of 2026-11-23 14:05.",
    "Bestellnummer 0301234567, Auftrag Nr. 4111 1111 1111 1111",
    "Order number 030 1234567 is late.",
    "Part 0815-4711-123, SKU 36574261809, EAN 4006381333931.",
    "SELECT id FROM orders WHERE email LIKE '%@gmail.com' AND total > 1234567.89;",
    "where password = users.password and year between 2019 and 2024",
    "It costs 1,299,000.00 EUR or 12 345 678 yen, 0.5 % off, 192.168.100.200:8080.",
    "v12.34.5678-rc1, Python 3.11.2026, 01.02.2026, 23/11/2026, 2026-11-23T10:15:00.000Z",
    "123e4567-e89b-12d3-a456-426614174000 and 4111111111111112",
    "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "Use pandas@2.2, git@github.com:a/b.git, @anna and logo@2x.png.",
    "Password: required. Passwort: bitte ändern Sie es. The password is wrong.",
    "ftp -p -u ftp://username:password@ftp.example.com/ then a name for your API Key:\\n\\n",
    "https://user:$PASS@host/ and https://user:{password}@host/",
    "sk-learn-based-classification-models are no keys; skip embed_documents_with_padding_and_more",
    "DE12 3456 7890 1234 5678 90 has a wrong sum.",
    "Between 10 000 000 and 20 000 000, or 1 2 3 4 5 6 7 8 9 10 11.",
    "The class XX12ABCDEFGHIJKLMNOP and 54362315K alone.",
]


@pytest.mark.parametrize(("text", "kind", "written"), PRIVATE)
def test_what_is_private_is_found(text, kind, written):
    assert [(one.kind, text[one.start : one.end].rstrip("!")) for one in values(text)] == [
        (kind, written)
    ]


@pytest.mark.parametrize("text", PUBLIC)
def test_what_only_looks_like_it_is_not(text):
    assert [text[one.start : one.end] for one in values(text)] == []


def test_one_value_has_one_placeholder_however_it_is_written():
    said = ["Call +49 30 1234567 or 0171/1234567", "Tel. 030 1234567; A@x.org, a@X.ORG, b@x.org"]
    shown, hidden = masked(said, lambda value: value.key == "b@x.org")
    assert shown == ["Call [phone] or [phone 2]", "Tel. [phone]; [e-mail], [e-mail], b@x.org"]
    assert len(hidden) == 5


def test_what_the_sample_company_teaches_stays_as_it_is():
    for name in ("corrections.jsonl", "heldout.jsonl", "general.jsonl"):
        for line in (SAMPLE / name).read_text().splitlines():
            said = [text for text in json.loads(line).values() if isinstance(text, str)]
            assert masked(said, lambda value: False) == (said, []), line


def test_long_and_hostile_texts_take_no_time():
    for piece in (
        "1 ",
        "a.",
        "a@",
        "A1",
        "password: ",
        "-----BEGIN PRIVATE KEY-----",
        "+1(",
        "eyJ",
    ):
        text = piece * 20_000
        shown, _ = masked([text], lambda value: False)
        assert len(shown[0]) <= len(text) * 2
