"""Defines an agent role: instructions, output model, tools and limits."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict

from agents.prompt_fencing import FENCE_NOTICE
from domain.evidence import Citation

ToolName = Literal["search_web", "fetch_page"]
RoleName = Literal["discovery", "company_research", "contact_research"]
ROLE_NAMES: tuple[RoleName, ...] = get_args(RoleName)
ValueT = TypeVar("ValueT")


class AgentOutput(BaseModel):  # a docstring would become part of each role's schema
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cited(AgentOutput, Generic[ValueT]):
    """A value and the words that it rests on."""

    value: ValueT
    citation: Citation


@dataclass(frozen=True)
class AgentRole:
    name: RoleName
    instructions: str
    output: type[AgentOutput]
    tools: tuple[ToolName, ...]
    turns_max: int
    tool_calls_max: int  # preloaded pages do not count

    @cached_property
    def prompt(self) -> str:
        """System prompt, with an example generated from the output schema."""
        shape = f"The shape of an answer, with nothing in it that is true:\n{answer_example(self.output)}\n"
        return f"{self.instructions}\n{FENCE_NOTICE}\n{shape}"

    @cached_property
    def output_schema(self) -> dict[str, object]:
        """The JSON schema in the strict form of structured outputs."""
        import openai  # takes half a second to import; most commands call no model

        return openai.pydantic_function_tool(self.output)["function"]["parameters"]


def answer_example(model: type[AgentOutput]) -> str:
    """Return a JSON object with a placeholder in every field: ``<name>``, 0, ``true`` or, if an enum has it, ``unknown``."""
    schema = model.model_json_schema()
    return json.dumps(_example(schema, schema["$defs"], "answer"))


def _example(schema: dict[str, Any], definitions: dict[str, Any], name: str) -> Any:
    if "$ref" in schema:
        return _example(definitions[schema["$ref"].rpartition("/")[2]], definitions, name)
    if "anyOf" in schema:  # a nullable field
        return _example(next(part for part in schema["anyOf"] if part.get("type") != "null"), definitions, name)
    if "enum" in schema:
        return "unknown" if "unknown" in schema["enum"] else schema["enum"][0]
    match schema["type"]:
        case "object":
            return {field: _example(part, definitions, field) for field, part in schema["properties"].items()}
        case "array":
            return [_example(schema["items"], definitions, name)]
        case "integer":
            return 0
        case "boolean":
            return True
        case _:
            return f"<{name}>"
