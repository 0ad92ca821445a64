"""Refuses a JSON schema that breaks a rule of strict mode, as the real API does.

Checks only the rules that generated schemas often break. Source: OpenAI guide, "Structured outputs", supported schemas.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_NOT_PERMITTED = ("default", "allOf", "oneOf", "not", "if", "then", "else", "patternProperties", "dependentRequired")


class StrictSchemaError(ValueError):
    """The schema breaks a rule of strict mode. The message names place and rule."""


def check_strict(schema: object) -> None:
    """Check one schema.

    Raises:
        StrictSchemaError: for the first broken rule, worded ``In context=('properties', 'x'), …``.
    """
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise StrictSchemaError("schema must be a JSON Schema of 'type: \"object\"'.")
    _check(schema, ())


def _check(schema: dict[str, Any], path: tuple[str, ...]) -> None:
    for key in _NOT_PERMITTED:
        if key in schema:
            raise _error(path, f"'{key}' is not permitted.")
    if "$ref" in schema and (extra := sorted(set(schema) - {"$ref"})):
        raise _error(path, f"$ref cannot have keywords {extra}.")
    if schema.get("type") == "object":
        _check_object(schema, path)
    for keyword in ("properties", "$defs", "definitions"):
        for name, child in (schema.get(keyword) or {}).items():
            _check_child(child, (*path, keyword, name))
    if "items" in schema:
        _check_child(schema["items"], (*path, "items"))
    for position, child in enumerate(schema.get("anyOf") or ()):
        _check_child(child, (*path, "anyOf", str(position)))


def _check_object(schema: dict[str, Any], path: tuple[str, ...]) -> None:
    if schema.get("additionalProperties") is not False:
        raise _error(path, "'additionalProperties' is required to be supplied and to be false.")
    required = schema.get("required") or ()
    for name in schema.get("properties") or {}:
        if name not in required:
            raise _error(
                path,
                "'required' is required to be supplied and to be an array including every key in properties. "
                f"Missing '{name}'.",
            )


def _check_child(child: object, path: tuple[str, ...]) -> None:
    if not isinstance(child, dict):
        raise _error(path, "a schema must be an object.")
    _check(child, path)


def _error(path: Sequence[str], rule: str) -> StrictSchemaError:
    return StrictSchemaError(f"In context={tuple(path)!r}, {rule}")
