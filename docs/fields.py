"""The fields of a class as its source has them: type, default, and the text that stands below."""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "`true` or `false`",
    "str": "text",
    "SecretStr": "text, shown nowhere",
    "Path": "a folder",
    "tuple[str, ...]": "a JSON list of texts",
    "tuple[dict[str, Any], ...]": "a JSON list of objects",
    "dict[str, Any]": "a JSON object",
}
"""What a person types for a field of this type."""


@dataclass(frozen=True)
class Field:
    """One field; `default` is "" where there is none, or where it is an empty text."""

    name: str
    kind: str
    default: str
    said: str

    @property
    def takes(self) -> str:
        """Its type in words; the choices where it has some."""
        if self.kind.startswith("Literal["):
            choices = ast.literal_eval(f"[{self.kind[len('Literal[') : -1]}]")
            return ", ".join(f"`{choice}`" if choice else '""' for choice in choices)
        return WORDS.get(self.kind, f"`{self.kind}`")


def fields_of(kind: type) -> Iterator[Field]:
    """Every annotated field of `kind`, in order."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)
    for field, below in zip_longest(definition.body, definition.body[1:]):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            yield Field(
                field.target.id,
                ast.unparse(field.annotation),
                _default(field.value) if field.value else "",
                _text(below),
            )


def _text(below: ast.AST | None) -> str:
    if not isinstance(below, ast.Expr) or not isinstance(below.value, ast.Constant):
        return ""
    return " ".join(str(below.value.value).split())


def _default(value: ast.expr) -> str:
    """As it is written, or what is inside `Field(default=...)`, `Path("data")` and the like."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if not isinstance(value, ast.Call):
        return "" if ast.unparse(value) == "()" else ast.unparse(value)
    given = [*value.args, *(one.value for one in value.keywords if one.arg == "default")]
    made = [one.value for one in value.keywords if one.arg == "default_factory"]
    if given:
        return _default(given[0])
    if made and isinstance(made[0], ast.Lambda):
        return ast.unparse(made[0].body)
    return ""
