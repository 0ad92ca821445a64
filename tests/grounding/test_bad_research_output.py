"""What a model may get wrong about a company: each is a counted reason, nothing crashes and nothing of it becomes a fact.

What cannot be parsed, is cut off or refused ends the call with that reason (LESSONS F43, F57a, F58).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.roles.company_research import ResearchOutput
from domain.company.facts import CompanyFacts
from grounding.company_facts import proven_facts
from settings import Settings
from store.database import Database
from tests.agents.scripted_model import EMPTY_RESEARCH, Model, cut_off, refuses, says, scripted
from tests.grounding.test_company_facts import ACME, KNOWN, RESULTS, TEXT, claim, result
from tests.http_server import Reply
from tests.store.rows import add_run
from web.gateway import ToolGateway

Scripted = Callable[..., AbstractAsyncContextManager[Model]]
FIELDS = (
    "company_type",
    "manages_for_owners",
    "closed",
    "units",
    "listings",
    "employees",
    "description",
    "website_vendor",
)
LONG = "Acme " * 20_000  # 100 kB
RTL = "\u202e"


@pytest.fixture
async def run_id(database: Database) -> UUID:
    async with database.transaction() as conn:
        return (await add_run(conn)).run_id


@pytest.fixture
def model(database: Database, gateway: ToolGateway, settings: Settings) -> Scripted:
    return partial(scripted, database, gateway, settings)


# --- no answer at all ------------------------------------------------------------------------------------------------

HALF = json.dumps(EMPTY_RESEARCH)[:40]


@pytest.mark.parametrize(
    ("first", "stop"),
    [(says("I am sorry, but"), "unreadable"), (cut_off(HALF), "cut_off"), (refuses(), "refused")],
    ids=["prose", "cut off", "refusal"],
)
async def test_f43_an_answer_that_cannot_be_used_ends_the_call_with_its_reason(
    model: Scripted, run_id: UUID, first: Reply, stop: str
) -> None:
    async with model(first, first, says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id)
        assert (answer.stop, answer.output) == (stop, None)
        assert server.bought == (1 if stop == "refused" else 2), "one repair at most"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        HALF,
        "{" * 100_000,
        json.dumps({**EMPTY_RESEARCH, "icp_tier": "A+"}),
        json.dumps({**EMPTY_RESEARCH, "company_type": claim("sfr", "x")}),
        json.dumps({**EMPTY_RESEARCH, "units": claim("many", "x")}),
        json.dumps({**EMPTY_RESEARCH, "units": 120}),
        json.dumps({**EMPTY_RESEARCH, "units": claim(7, "x")}).replace("7", "9" * 5000),
    ],
    ids=[
        "nothing", "null", "list", "half", "100 kB of brackets", "unknown field", "unknown type", "words for a number",
        "no citation", "number of 5,000 digits",
    ],
)  # fmt: skip
def test_f44_whatever_does_not_fit_the_schema_is_one_kind_of_error(text: str) -> None:
    with pytest.raises(ValidationError):  # the one that the loop takes for "unreadable"
        ResearchOutput.model_validate_json(text)


async def test_an_answer_that_was_cut_off_is_asked_for_once_more_and_shorter(model: Scripted, run_id: UUID) -> None:
    async with model(cut_off(HALF), says(EMPTY_RESEARCH)) as server:
        answer = await server.run(run_id)
        assert answer.stop == "answered"
        assert "too long" in server.asked(1)["input"][-1]["content"]


# --- claims that do not hold -----------------------------------------------------------------------------------------


def proven(claims: dict[str, Any]) -> tuple[CompanyFacts, dict[str, int]]:
    return proven_facts(KNOWN, ResearchOutput.model_validate({**EMPTY_RESEARCH, **claims}), RESULTS, ACME)


VALUES: dict[str, Any] = {
    "company_type": "single_family",
    "manages_for_owners": True,
    "units": 1240,
    "listings": 36,
    "employees": 12,
}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    ("result_id", "quote", "reason"),
    [
        ("r-invented", "1,240 single family homes 36 homes 12 Acme", "unknown_result"),
        ("", "1,240 single family homes 36 homes 12 Acme", "unknown_result"),
        (LONG, "1,240 single family homes 36 homes 12 Acme", "unknown_result"),
        ("own", "1,240 single family homes 36 homes 12 Acme", "quote_not_found"),
        ("own", f"1,240 36 12 homes {LONG}", "bad_quote"),
        ("own", f"Acme {RTL}manages 1,240 36 homes 12", "quote_not_found"),
        ("own", "Acme\x07 manages 1,240 36 homes 12", "quote_not_found"),
    ],
    ids=["invented id", "no id", "100 kB id", "quote not there", "100 kB quote", "direction mark", "control character"],
)
def test_f57a_words_that_are_not_in_the_result_prove_nothing(
    field: str, result_id: str, quote: str, reason: str
) -> None:
    facts, dropped = proven({field: claim(VALUES.get(field, "Acme"), quote, result_id)})
    assert facts == KNOWN
    assert dropped == {f"{field}:{reason}": 1}


@pytest.mark.parametrize(
    ("field", "value", "quote", "reason"),
    [
        ("units", 1241, "1,240 single family homes", "value_not_in_quote"),
        ("units", 10**4000, "1,240 single family homes", "value_not_in_quote"),
        ("employees", 12, "A team of people", "value_not_in_quote"),
        ("website_vendor", LONG, "Website by DoorGrow", "value_not_in_quote"),
        ("website_vendor", f"Door{RTL}Grow", "Website by DoorGrow", "value_not_in_quote"),
        ("website_vendor", "", "Website by DoorGrow", "empty"),
        ("website_vendor", f" {RTL}\x07\n", "Website by DoorGrow", "empty"),
        ("description", LONG, "Acme manages", "value_not_in_quote"),
        ("description", "Acme manages", "", "bad_quote"),
        ("description", "Acme manages", " \n ", "bad_quote"),
        ("closed", "Acme", "Acme manages", "quote_does_not_say_it"),
    ],
)
def test_f57a_a_value_that_its_quote_does_not_hold_is_dropped(
    field: str, value: object, quote: str, reason: str
) -> None:
    facts, dropped = proven({field: claim(value, quote)})
    assert facts == KNOWN
    assert dropped == {f"{field}:{reason}": 1}


def test_of_a_list_without_end_a_bounded_number_is_looked_at() -> None:
    facts, dropped = proven({"places_served": [claim("Austin", "owners in Austin")] * 2000})
    assert [fact.value for fact in facts.places_served] == ["Austin"]
    assert dropped == {"places_served:too_many": 1950}


def test_characters_that_cannot_be_seen_do_not_get_from_a_page_into_a_fact() -> None:
    page = {"own": result("own", "https://acme.example/", f"Website by Door{RTL}Grow\u200b, Austin.")}
    output = ResearchOutput.model_validate(
        {**EMPTY_RESEARCH, "website_vendor": claim(f"Door{RTL}Grow\u200b", f"by Door{RTL}Grow\u200b")}
    )
    facts, dropped = proven_facts(KNOWN, output, page, ACME)
    assert facts.website_vendor is not None and facts.website_vendor.value == "DoorGrow"
    assert dropped == {}


PIECES = st.one_of(
    st.text(max_size=60),
    st.sampled_from([TEXT, "1,240", "36 homes for rent", "Website by DoorGrow", RTL, "\x00", "\ud800", "[a](b"]),
)
QUOTES = st.lists(PIECES, max_size=3).map(" ".join)
CITATIONS = st.fixed_dictionaries({"result_id": st.sampled_from(["own", "other", "none", ""]), "quote": QUOTES})


def cited(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.fixed_dictionaries({"value": value, "citation": CITATIONS})


ANSWERS = st.fixed_dictionaries(
    {
        "company_type": cited(st.sampled_from(["single_family", "hoa", "brokerage", "other", "unknown"])),
        "manages_for_owners": cited(st.booleans()),
        "closed": cited(QUOTES),
        **{name: cited(st.integers() | st.sampled_from([36, 12, 1240])) for name in ("units", "listings", "employees")},
        **{name: cited(QUOTES) for name in ("description", "website_vendor")},
        **{name: st.lists(cited(QUOTES).filter(bool), max_size=3) for name in ("associations", "places_served")},
    }
)


@settings(deadline=None, max_examples=40)
@given(ANSWERS)
def test_whatever_is_claimed_each_claim_is_a_fact_with_its_words_or_counted(answer: dict[str, Any]) -> None:
    output = ResearchOutput.model_validate(answer)
    facts, dropped = proven_facts(KNOWN, output, RESULTS, ACME)
    kept = [
        facts.company_type_evidence,
        facts.manages_evidence,
        facts.closed_evidence,
        facts.employees_evidence,
        *(each.evidence for each in (facts.units, facts.description, facts.website_vendor) if each),
        *(each.evidence for each in (*facts.associations, *facts.places_served)),
    ]
    for evidence in filter(None, kept):
        assert evidence.result_id == "own" and evidence.quote
    claims = sum(len(value) if isinstance(value, list) else value is not None for value in answer.values())
    assert sum(dropped.values()) <= claims
    assert all(reason.count(":") == 1 for reason in dropped)
