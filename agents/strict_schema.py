"""A pydantic model as the JSON schema that structured outputs take (every field required, no others allowed)."""

from functools import cache
from typing import Any

from pydantic import BaseModel


@cache  # asked for at every model turn
def strict_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The model's JSON schema in strict form.

    OpenAI's structured outputs want ``additionalProperties: false`` and every property required, and take no ``default`` or
    ``title``; the rest of pydantic's schema is within what they support. One dict per model, shared: not to be changed.
    """
    schema: dict[str, Any] = _strict(model.model_json_schema())
    return schema


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return {"$ref": node["$ref"]}  # structured outputs allow nothing beside a reference
    kept = {key: _strict(value) for key, value in node.items() if key not in {"title", "default"}}
    if kept.get("type") == "object" and isinstance(kept.get("properties"), dict):
        kept["properties"] = {name: _strict(value) for name, value in node["properties"].items()}
        kept["required"] = list(kept["properties"])
        kept["additionalProperties"] = False
    return kept
