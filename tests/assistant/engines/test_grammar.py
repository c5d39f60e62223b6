"""Replies of a model of random weights are valid by their schema all the same, on every engine."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from jsonschema import validate

from assistant.engines.choose import ENGINES
from assistant.engines.grammar import Grammars, lark, schema_fault
from assistant.engines.protocol import EngineFailed
from tests.assistant.engines.asking import ask, text_of

CONTEXT = 512


def whole(**properties):
    """An object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


COUNT = {"type": "integer", "minimum": -3, "maximum": 40}
WORD = {"type": "string", "maxLength": 12}
SCHEMAS = [
    whole(open={"type": "boolean"}, state={"enum": ["Gültig", "無効", None, 7]}, name=WORD),
    whole(order=whole(id=COUNT, of=whole(who=WORD)), sure={"const": True}),
    {"type": "array", "items": COUNT, "minItems": 2, "maxItems": 5},
    whole(day={"type": "string", "format": "date"}, code={"type": "string", "pattern": "^[A-C]+-9"})
    | {"title": "A day"},
    {
        "$defs": {"node": whole(v=COUNT, next={"anyOf": [{"$ref": "#/$defs/node"}, COUNT]})},
        "$ref": "#/$defs/node",
    },
]
TEXTS = [
    {"open": True, "state": "Gültig", "name": 'Zoë "Z" 😀'},
    {"order": {"id": -3, "of": {"who": "back\\slash"}}, "sure": True},
    [1, 40, 0],
    {"day": "2024-02-29", "code": "ABC-9 and more"},
    {"v": 1, "next": {"v": 2, "next": 3}},
]


@pytest.fixture(scope="module", params=ENGINES)
def engine(request, open_named):
    opened = open_named(request.param, CONTEXT)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def grammars(tiny_base, tokenizer):
    return Grammars(tiny_base.folder, tokenizer.end_ids)


def test_whatever_chance_says_it_is_valid_and_beside_it_others_are_free(engine, prompts, truth):
    wanted = [
        (prompts[seed % 4], SCHEMAS[seed % len(SCHEMAS)] if seed % 6 else None, seed)
        for seed in range(30)
    ]

    def made(prompt, schema, seed):
        if schema is None:
            return ask(engine, prompt)
        given = {"schema": json.dumps(schema), "temperature": 1.0, "seed": seed}
        return ask(engine, prompt, tokens=400, **given)

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda one: made(*one), wanted))
    for (prompt, schema, _), pieces in zip(wanted, replies, strict=True):
        if schema is None:
            assert text_of(pieces) == truth(prompt)
            continue
        assert pieces[-1].finish_reason == "stop", text_of(pieces)
        validate(json.loads(text_of(pieces)), schema)
    assert len({text_of(pieces) for pieces in replies}) > len(SCHEMAS) + 4


def test_the_likeliest_reply_is_valid_too_and_tells_its_tokens(engine, prompts):
    schema = json.dumps(SCHEMAS[2])
    pieces = ask(engine, prompts[1], tokens=100, schema=schema, runners_up=True)
    validate(json.loads(text_of(pieces)), SCHEMAS[2])
    assert text_of(ask(engine, prompts[1], tokens=100, schema=schema)) == text_of(pieces)
    chosen = [one for piece in pieces for one in piece.chosen]
    assert len(chosen) == sum(piece.tokens for piece in pieces)
    for one in chosen:
        assert one.log_prob < 0 and len(one.others) == 8
        assert one.token not in dict(one.others)
    freely = [max(chance for _, chance in one.others) > one.log_prob for one in chosen]
    assert any(freely), "the model would have said something else"


def test_a_reply_that_is_cut_off_says_so(engine, prompts):
    pieces = ask(engine, prompts[0], tokens=4, schema=json.dumps(SCHEMAS[0]))
    assert pieces[-1].finish_reason == "length"
    assert text_of(pieces).startswith("{")


@pytest.mark.parametrize("between", [(",", ":"), (", ", ": ")], ids=["compact", "spaced"])
@pytest.mark.parametrize("number", range(len(SCHEMAS)))
def test_what_is_valid_is_never_in_the_way(grammars, tokenizer, number, between):
    """So a model whose likeliest reply is valid gives the very same one."""
    grammar = grammars.of(json.dumps(SCHEMAS[number]))
    text = json.dumps(TEXTS[number], ensure_ascii=False, separators=between)
    for token in tokenizer.completion_ids(text):
        assert grammar.allowed()[token], (text, token)
        grammar.take(token)


def test_nothing_else_is_allowed_and_a_reply_ends_when_it_is_whole(grammars, tokenizer):
    schema = json.dumps({"enum": [{"a": 1}]})
    grammar = grammars.of(schema)
    assert not any(grammar.allowed()[end] for end in tokenizer.end_ids)
    for token in tokenizer.encode('{"a":1}'):
        grammar.take(token)
    open_words = [token for token, may in enumerate(grammar.allowed()) if may]
    assert set(open_words) == tokenizer.end_ids
    again = grammars.of(schema)
    again.take(tokenizer.encode("Hello")[0])
    with pytest.raises(EngineFailed, match="could not be held to its schema"):
        again.allowed()


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"type": "object", "properties": {"a": {"not": {"type": "string"}}}}, "not"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"uniqueItems": True, "x-guidance": {"lenient": True}}, "uniqueItems"),
        ({"oneOf": [{"type": "integer"}, {"type": "integer", "minimum": 1}]}, "oneOf"),
        ({"type": "string", "format": "colour"}, "colour"),
        ({"type": "string", "pattern": "(?=a)b"}, "look-ahead"),
    ],
)
def test_what_cannot_be_enforced_is_named(schema, named):
    said = schema_fault(json.dumps(schema))
    assert named in said and "\n" not in said


def test_an_engine_refuses_what_cannot_be_enforced(tiny_base, grammars):
    with pytest.raises(EngineFailed, match="uniqueItems"):
        grammars.of('{"type": "array", "uniqueItems": true}')
    assert "uniqueItems" in lark('{"type": "array", "uniqueItems": true}')
