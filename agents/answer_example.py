"""An example of an answer, made from the schema of a role's output, so that the two can never differ (LESSONS F42).

Its values are told at a glance from facts: words in angle brackets, zeros, ``unknown`` where there is such a value. None would
pass the proof that code asks of a fact.
"""

import json
from typing import Any

from pydantic import BaseModel


def answer_example(model: type[BaseModel]) -> str:
    """One JSON object that the model parses, with every field filled and one entry in every list.

    Raises:
        ValueError: the schema holds something that no output of ours has used so far.
    """
    schema = model.model_json_schema()
    return json.dumps(_example(schema, schema.get("$defs", {}), "answer"), ensure_ascii=False)


def _example(schema: dict[str, Any], definitions: dict[str, Any], name: str) -> Any:
    if "$ref" in schema:
        return _example(definitions[schema["$ref"].rpartition("/")[2]], definitions, name)
    if "anyOf" in schema:  # a value or null: the value shows more
        return _example(next(each for each in schema["anyOf"] if each.get("type") != "null"), definitions, name)
    if "enum" in schema:
        return "unknown" if "unknown" in schema["enum"] else schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {field: _example(part, definitions, field) for field, part in schema["properties"].items()}
        case "array":
            return [_example(schema["items"], definitions, name)]
        case "string":
            return f"<{name}>"
        case "integer" | "number":
            return 0
        case "boolean":
            return True
    raise ValueError(f"no example is known for {name}: {schema}")
