"""JSON as the standard has it, and whether it fits a JSON Schema (Draft 2020-12)."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import SchemaError, best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from tuning.patterns import PatternTooSlow, find

_FENCE = re.compile(r"\A```[\w-]*[ \t]*\n(.*?)\n?```\Z", re.DOTALL)


def bare(text: str) -> str:
    """The text without white space at the ends and without a Markdown fence around all of it."""
    found = _FENCE.match(text.strip())
    return (found.group(1) if found else text).strip()


def parse(text: str) -> Any:
    """The value of `text`, which may stand in a fence: no NaN, and no key twice in one object.

    Raises ValueError, or RecursionError for thousands of brackets.
    """
    return json.loads(bare(text), parse_constant=_no_constant, object_pairs_hook=_no_twice)


def typed(value: Any) -> Any:
    """The value with true told from 1 (Python's == does not)."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return (isinstance(value, bool), value)


def shape(value: Any) -> Any:
    """The value's keys without what is under them."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return "list" if isinstance(value, list) else "value"


def schema_fault(schema: Any) -> str | None:
    """What is wrong with a schema, in words; None when it can be used."""
    if not isinstance(schema, Mapping | bool):
        return "is no JSON object"
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"is no JSON Schema (at {error.json_path}: {error.message[:200]})"
    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(schema))
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except Unresolvable:
            return f"refers to {reference!r}, which is not in it"
    return None


def value_fault(schema: Any, value: Any) -> str | None:
    """Where `value` does not fit a schema that has no fault; None when it does."""
    validator = _Validator(schema, registry=Registry())
    try:
        error = best_match(validator.iter_errors(value))
    except RecursionError:
        return "is nested too deeply"
    except Unresolvable as lost:  # below an `$id` of its own, where `schema_fault` does not look
        return f"the schema refers to {lost.ref!r}, which is not in it"
    return f"at {error.json_path}: {error.message[:200]}" if error else None


def _references(schema: Any) -> Iterator[str]:
    """Every `$ref` and `$dynamicRef`, wherever it stands; nothing is ever fetched for one."""
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _references(item)


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, str):
        return
    try:
        if not find(pattern, instance):
            yield ValidationError(f"{instance!r} does not match {pattern!r}")
    except PatternTooSlow as error:
        yield ValidationError(str(error))


_Validator = extend(Draft202012Validator, {"pattern": _pattern})
"""The library searches patterns without a time limit."""


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) != len(dict(pairs)):
        raise ValueError("a key stands twice")
    return dict(pairs)
