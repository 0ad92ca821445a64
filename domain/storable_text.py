"""What Postgres can store of a text: no NUL, no lone surrogates. Texts of strangers (pages, models, answers) hold both."""

from typing import Any


def storable(value: Any) -> Any:
    """A JSON value with the characters removed, in texts at any depth, that Postgres stores neither in text nor in jsonb."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "ignore").decode("utf-8")
    if isinstance(value, dict):
        return {storable(name): storable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    return value
