"""The answer's shape as structured outputs take it: every field required, no others allowed (LESSONS F39, F42)."""

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from agents.role import AgentRole
from agents.roles import company_research, contact_research, discovery
from agents.strict_schema import strict_schema

ROLES = [discovery.ROLE, company_research.ROLE, contact_research.ROLE]
# What OpenAI's structured outputs document as supported and we use.
SUPPORTED = {
    "type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const", "$ref", "$defs",
    "description",
}  # fmt: skip


def schemas_in(node: Any) -> Iterator[dict[str, Any]]:
    """Every schema in a schema, not the names of its properties and definitions."""
    yield node
    for name in ("properties", "$defs"):
        for child in node.get(name, {}).values():
            yield from schemas_in(child)
    for child in [*node.get("anyOf", []), *([node["items"]] if "items" in node else [])]:
        yield from schemas_in(child)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_object_requires_all_its_fields_and_allows_no_others(role: AgentRole) -> None:
    objects = [node for node in schemas_in(strict_schema(role.output)) if node.get("type") == "object"]
    assert len(objects) >= 2
    for node in objects:
        assert node["required"] == list(node["properties"])
        assert node["additionalProperties"] is False


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_only_supported_keywords_are_used(role: AgentRole) -> None:
    schema = strict_schema(role.output)
    Draft202012Validator.check_schema(schema)
    assert {keyword for node in schemas_in(schema) for keyword in node} <= SUPPORTED
    assert all(set(node) == {"$ref"} for node in schemas_in(schema) if "$ref" in node)


class Part(BaseModel):
    """One part."""

    title: str
    default: int = 5


class Whole(BaseModel):
    """Fields whose names are those of schema keywords, defaults, unions and lists."""

    title: str = "x"
    type: Literal["a", "b"] = "a"
    properties: list[Part] = []
    required: Part | None = Field(default=None, description="Words that stand beside a reference.")


def test_fields_named_like_keywords_are_kept_and_defaults_are_not() -> None:
    schema = strict_schema(Whole)
    assert schema["required"] == ["title", "type", "properties", "required"]
    assert schema["properties"]["title"] == {"type": "string"}
    assert schema["$defs"]["Part"]["required"] == ["title", "default"]
    assert schema["$defs"]["Part"]["properties"]["default"] == {"type": "integer"}


@pytest.mark.parametrize(
    ("answer", "valid"),
    [
        ({"title": "x", "type": "a", "properties": [], "required": None}, True),
        ({"title": "x", "type": "b", "properties": [{"title": "t", "default": 1}], "required": None}, True),
        ({"title": "x", "type": "a", "properties": []}, False),
        ({"title": "x", "type": "c", "properties": [], "required": None}, False),
        ({"title": "x", "type": "a", "properties": [], "required": None, "more": 1}, False),
        ({"title": "x", "type": "a", "properties": [{"title": "t"}], "required": None}, False),
    ],
)
def test_what_the_schema_admits_is_what_the_strict_form_means(answer: dict[str, Any], valid: bool) -> None:
    assert Draft202012Validator(strict_schema(Whole)).is_valid(answer) == valid
    if valid:
        Whole.model_validate(answer)


CITATION = {"result_id": "r1", "quote": "words"}
EXAMPLES: dict[str, dict[str, Any]] = {
    "discovery": {
        "companies": [
            {"name": "Acme", "url": None, "city": "Austin", "state": None, "phone": None, "citation": CITATION}
        ]
    },
    "company_research": {
        "company_type": {"value": "hoa", "citation": CITATION},
        "manages_for_owners": None,
        "closed": None,
        "units": {"value": 5, "citation": CITATION},
        "listings": None,
        "employees": None,
        "description": None,
        "website_vendor": None,
        "associations": [],
        "places_served": [{"value": "Austin", "citation": CITATION}],
    },
    "contact_research": {
        "people": [
            {
                "full_name": "Jane Doe",
                "title": "Owner",
                "email": None,
                "phone": None,
                "linkedin_url": None,
                "citation": CITATION,
                "email_citation": None,
                "note": None,
            }
        ]
    },
}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_f42_an_answer_of_the_schemas_shape_parses_and_one_with_a_field_more_or_less_does_not(role: AgentRole) -> None:
    answer, validator = EXAMPLES[role.name], Draft202012Validator(strict_schema(role.output))
    assert validator.is_valid(answer)
    assert role.output.model_validate(answer).model_dump(mode="json") == answer
    for other in ({**answer, "more": 1}, {key: answer[key] for key in list(answer)[1:]}):
        assert not validator.is_valid(other)
        with pytest.raises(ValueError, match=r"more|Field required"):
            role.output.model_validate(other)
