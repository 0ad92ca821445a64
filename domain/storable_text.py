"""Text that Postgres can store: without NUL and lone surrogates, which pages, models and answers may contain."""

from typing import Any


def storable(value: Any) -> Any:
    """A JSON value whose texts, at any depth, fit Postgres's text and jsonb."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "ignore").decode("utf-8")
    if isinstance(value, dict):
        return {storable(name): storable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    return value
