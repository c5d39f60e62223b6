"""Schemas that can be used and values that fit them."""

import pytest

from tuning import patterns
from tuning.json_check import parse, schema_fault, value_fault

PRICE = {
    "type": "object",
    "required": ["price"],
    "properties": {"price": {"$ref": "#/$defs/amount"}, "code": {"pattern": "^[A-Z]+$"}},
    "additionalProperties": False,
    "$defs": {"amount": {"type": "number"}},
}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"price": 3}, None),
        ({"price": "3"}, "$.price: '3' is not of type 'number'"),
        ({}, "'price' is a required property"),
        ({"price": 3, "colour": "red"}, "colour"),
        ({"price": 3, "code": "abc"}, "does not match"),
        ([], "$: [] is not of type 'object'"),
    ],
)
def test_a_value_is_told_where_it_does_not_fit(value, said):
    assert schema_fault(PRICE) is None
    found = value_fault(PRICE, value)
    assert found is None if said is None else said in found


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "thing"}, "no JSON Schema"),
        ({"properties": []}, "no JSON Schema"),
        ("text", "no JSON object"),
        ({"$ref": "#/$defs/missing"}, "'#/$defs/missing', which is not in it"),
        ({"$ref": "http://127.0.0.1:9/schema.json"}, "which is not in it"),
        ({"items": {"pattern": "("}}, "at $.items.pattern: '('"),
    ],
)
def test_a_broken_schema_is_named(schema, said):
    assert said in (schema_fault(schema) or "")


def test_a_schemas_pattern_cannot_hang(monkeypatch):
    monkeypatch.setattr(patterns, "SEARCH_SECONDS", 0.05)
    assert "takes longer" in (value_fault({"pattern": "(a+)+$"}, "a" * 5000 + "b") or "")


def test_json_in_a_fence_is_read_and_a_key_given_twice_is_not():
    assert parse('```json\n{"a": 1}\n```') == {"a": 1}
    with pytest.raises(ValueError, match="twice"):
        parse('{"a": 1, "a": 2}')
