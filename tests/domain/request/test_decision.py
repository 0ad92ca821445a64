"""What each decision amends, and which answers are refused."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from domain.company.criteria_verdicts import VerdictValue, judge_criteria
from domain.company.facts import CompanyFacts
from domain.company.places import Place
from domain.request.criteria import parse_criteria
from domain.request.decision import (
    DecisionAction,
    DecisionError,
    DecisionReason,
    DecisionRequest,
    amend,
    parse_decision,
)
from domain.request.run_request import Limits, RunRequest

PENDING = DecisionRequest(
    decision_id="decision-2",
    reason=DecisionReason.CANDIDATES_EXHAUSTED,
    message="3 of 5 companies are complete",
    funnel={"complete": 3},
    options=(),
    default=DecisionAction.ACCEPT_PARTIAL,
    deadline=datetime(2031, 1, 1, tzinfo=UTC),
)
FULL = {
    "states": ["TX"],
    "cities": ["Austin"],
    "pms": ["Buildium"],
    "pms_exclude": ["Yardi"],
    "units_min": 100,
}


def request(raw: dict[str, Any] = FULL, **limits: Any) -> RunRequest:
    return RunRequest(
        run_id=UUID(int=1), criteria=parse_criteria(raw).criteria, target_quantity=5, limits=Limits(**limits)
    )


def test_messages_use_the_senders_names() -> None:
    called = {"units_min": "--units-min", "states": "--state"}
    for answer, said in (
        ({"action": "lower_units"}, "lower_units needs --units-min"),
        ({"action": "retry", "states": ["OK"]}, "retry takes no --state"),
        ({"action": "lower_units", "units_min": -5}, "--units-min: Input should be greater than or equal to 0"),
    ):
        with pytest.raises(DecisionError, match=re.escape(said)):
            parse_decision({"decision_id": "decision-2", **answer}, PENDING, request(), key_names=called)


def decided(run: RunRequest, action: str, **options: Any) -> RunRequest:
    answer = {"decision_id": "decision-2", "action": action, **options}
    return amend(run, parse_decision(answer, PENDING, run))


def refused(run: RunRequest, action: str, **options: Any) -> str:
    with pytest.raises(DecisionError) as error:
        decided(run, action, **options)
    return str(error.value)


# What each action amends


@pytest.mark.parametrize("action", ["accept_partial", "retry", "cancel"])
def test_ending_and_trying_again_leave_the_request_as_it_is(action: str) -> None:
    assert decided(request(), action) == request()


def test_expand_location_adds_a_whole_state() -> None:
    criteria = decided(request(), "expand_location", states=["Oklahoma"]).criteria
    assert (criteria.states, criteria.cities) == (("TX", "OK"), ())


def test_expand_location_by_a_city_keeps_those_asked_before() -> None:
    criteria = decided(request(), "expand_location", cities=["Dallas"]).criteria
    assert (criteria.states, criteria.cities) == (("TX",), ("Austin", "Dallas"))


def test_expand_location_to_the_whole_state() -> None:
    criteria = decided(request(), "expand_location", whole_state=True).criteria
    assert (criteria.states, criteria.cities) == (("TX",), ())


def test_expand_location_by_the_radius() -> None:
    around = request({"zip": "78701", "radius_miles": 10})
    assert decided(around, "expand_location", radius_miles=50).criteria.radius_miles == 50
    assert decided(request({"zip": "78701"}), "expand_location", radius_miles=5).criteria.radius_miles == 5


def test_expand_location_by_a_state_keeps_the_state_of_the_zip() -> None:
    criteria = decided(request({"zip": "78701", "radius_miles": 10}), "expand_location", states=["OK"]).criteria
    assert (criteria.states, criteria.zip, criteria.radius_miles) == (("TX", "OK"), None, None)


def test_loosen_pms_adds_software_or_makes_it_soft() -> None:
    assert decided(request(), "loosen_pms", pms=["AppFolio"]).criteria.pms == ("Buildium", "AppFolio")
    assert decided(request(), "loosen_pms", pms_soft=True).criteria.mode_of("pms") == "soft"


@pytest.mark.parametrize("minimum", [99, 0])
def test_lower_units_lowers_the_minimum(minimum: int) -> None:
    assert decided(request(), "lower_units", units_min=minimum).criteria.units_min == minimum


def test_accept_unknown_adds_to_earlier_ones() -> None:
    once = decided(request(), "accept_unknown", criteria=["units"])
    twice = decided(once, "accept_unknown", criteria=["pms"])
    assert once.criteria.unknown_accepted == ("units",)
    assert set(twice.criteria.unknown_accepted) == {"units", "pms"}


def test_raise_budget_raises_only_the_named_limit() -> None:
    run = request(max_cost_usd=2.0, max_model_calls=100)
    assert decided(run, "raise_budget", max_cost_usd=4.0).limits == Limits(max_cost_usd=4.0, max_model_calls=100)
    assert decided(run, "raise_budget", max_model_calls=101).limits == Limits(max_cost_usd=2.0, max_model_calls=101)


@pytest.mark.parametrize(
    ("action", "options", "changed"),
    [
        ("expand_location", {"states": ["OK"]}, {"states", "cities"}),
        ("loosen_pms", {"pms": ["AppFolio"]}, {"pms"}),
        ("loosen_pms", {"pms_soft": True}, {"modes"}),
        ("lower_units", {"units_min": 50}, {"units_min"}),
        ("accept_unknown", {"criteria": ["place"]}, {"unknown_accepted"}),
    ],
)
def test_an_action_amends_only_its_own_criterion(action: str, options: dict[str, Any], changed: set[str]) -> None:
    before, after = request(), decided(request(), action, **options)
    old, new = before.criteria.model_dump(), after.criteria.model_dump()
    assert {name for name in old if old[name] != new[name]} == changed
    assert after.model_copy(update={"criteria": before.criteria}) == before


# What is refused


@pytest.mark.parametrize(
    ("action", "options", "said"),
    [
        ("expand_location", {}, "needs states or cities or radius_miles or whole_state"),
        ("expand_location", {"whole_state": False}, "needs states"),
        ("expand_location", {"states": []}, "needs states"),
        ("expand_location", {"states": ["TX"], "cities": ["Austin"]}, "would not change the location"),
        ("expand_location", {"cities": ["Austin"]}, "would not change the location"),
        ("expand_location", {"states": ["Texsas"]}, "did you mean 'Texas'"),
        ("expand_location", {"states": ["<two-letter code>"]}, "is not a US state"),
        ("expand_location", {"radius_miles": 10}, "only fits a request around a zip"),
        ("expand_location", {"whole_state": True, "cities": ["Dallas"]}, "would only narrow it"),
        ("loosen_pms", {}, "needs pms or pms_soft"),
        ("loosen_pms", {"pms": ["Buildium"]}, "would not change"),
        ("loosen_pms", {"pms": ["Buildum"]}, "did you mean 'Buildium'"),
        ("loosen_pms", {"pms": ["Yardi"]}, r"Yardi is excluded by the request"),
        ("lower_units", {}, "needs units_min"),
        ("lower_units", {"units_min": 100}, "must be below the present 100"),
        ("lower_units", {"units_min": 500}, "must be below the present 100"),
        ("lower_units", {"units_min": -1}, "not understood"),
        ("accept_unknown", {}, "needs criteria"),
        ("accept_unknown", {"criteria": ["icp_tier_min"]}, "does not ask for icp_tier_min; it asks for: "),
        ("accept_unknown", {"criteria": ["unitz"]}, "not understood"),
        ("raise_budget", {}, "needs max_cost_usd or max_model_calls"),
        ("raise_budget", {"max_cost_usd": 0}, "not understood"),
        ("raise_budget", {"max_cost_usd": 5}, "the run has no max_cost_usd to raise"),
        ("retry", {"units_min": 0}, "retry takes no units_min"),
        ("retry", {"states": ["OK"]}, "retry takes no states"),
        ("accept_partial", {"max_cost_usd": 5}, "accept_partial takes no max_cost_usd"),
        ("cancel", {"pms_soft": True}, "cancel takes no pms_soft"),
        ("lower_units", {"units_min": 5, "pms": ["Yardi"]}, "lower_units takes no pms"),
        ("retry", {"units": 5}, "not understood: units"),
        ("retri", {}, "unknown action 'retri'; did you mean 'retry'"),
        ("zzzz", {}, "actions: accept_partial, expand_location"),
        ("ACCEPT_PARTIAL", {}, "unknown action"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_the_reason(action: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(DecisionError, match=said):
        decided(request(), action, **options)


def test_nothing_can_be_amended_that_was_not_asked() -> None:
    bare = request({})
    assert "no place" in refused(bare, "expand_location", states=["TX"])
    assert "no property management software" in refused(bare, "loosen_pms", pms=["Yardi"])
    assert "no units_min" in refused(bare, "lower_units", units_min=1)
    assert "asks for: none" in refused(bare, "accept_unknown", criteria=["pms"])


def test_a_second_time_the_same_is_a_no_op_and_refused() -> None:
    soft = decided(request(), "loosen_pms", pms_soft=True)
    assert "would not change" in refused(soft, "loosen_pms", pms_soft=True)
    known = decided(request(), "accept_unknown", criteria=["units"])
    assert "would not change" in refused(known, "accept_unknown", criteria=["units"])


@pytest.mark.parametrize("radius", [10, 5, 0, -1, 501, float("nan"), float("inf")])
def test_a_radius_must_grow_and_stay_a_distance(radius: float) -> None:
    assert "radius_miles" in refused(
        request({"zip": "78701", "radius_miles": 10}), "expand_location", radius_miles=radius
    )


def test_a_limit_must_rise() -> None:
    for limit in (1.0, 2.0):
        assert "above the present 2.0" in refused(request(max_cost_usd=2.0), "raise_budget", max_cost_usd=limit)
    assert "above the present 9" in refused(request(max_model_calls=9), "raise_budget", max_model_calls=9)


def test_whole_states_leave_no_radius() -> None:
    around = request({"zip": "78701", "radius_miles": 10})
    assert "no radius" in refused(around, "expand_location", states=["OK"], radius_miles=50)
    assert "needs a state" in refused(around, "expand_location", whole_state=True)


@pytest.mark.parametrize("decision_id", ["decision-1", "decision-3", "", "Decision-2"])
def test_an_answer_to_an_earlier_or_later_question_is_refused(decision_id: str) -> None:
    with pytest.raises(DecisionError, match="is not the open question; the open one is 'decision-2'"):
        parse_decision({"decision_id": decision_id, "action": "cancel"}, PENDING, request())


def test_an_answer_without_a_question_is_refused() -> None:
    with pytest.raises(DecisionError, match="not waiting for a decision"):
        parse_decision({"decision_id": "decision-1", "action": "cancel"}, None, request())


@pytest.mark.parametrize("raw", [None, "accept_partial", ["cancel"], 5, {}, {"action": None}, {"action": ["cancel"]}])
def test_what_is_no_answer_is_refused_with_the_form_of_one(raw: object) -> None:
    with pytest.raises(DecisionError, match=r"a decision is a JSON object|unknown action"):
        parse_decision(raw, PENDING, request())


def test_an_answer_names_its_question() -> None:
    with pytest.raises(DecisionError, match="decision_id: Field required"):
        parse_decision({"action": "cancel"}, PENDING, request())


# No expansion takes anything away


PLACES = [
    Place(city="Austin", state="TX", zip="78701"),
    Place(city="Round Rock", state="TX", zip="78664"),
    Place(city="Dallas", state="TX", zip="75201"),
    Place(city="Tulsa", state="OK", zip="74103"),
]
EXPANSIONS = [
    {"states": states, "cities": cities, "radius_miles": radius, "whole_state": whole}
    for states in ((), ("TX",), ("OK",), ("OK", "LA"))
    for cities in ((), ("Dallas",), ("Tulsa", "Austin"))
    for radius in (None, 10.0, 31.0, 300.0)
    for whole in (False, True)
]


def amended(run: RunRequest, options: dict[str, Any]) -> RunRequest | None:
    try:
        return decided(run, "expand_location", **options)
    except DecisionError:
        return None


@pytest.mark.parametrize(
    "raw",
    [
        {"state": "TX"},
        {"state": "TX", "city": "Austin"},
        {"states": ["TX", "OK"], "city": "Tulsa"},
        {"zip": "78701"},
        {"zip": "78701", "radius_miles": 30},
        {"zip": "78701", "radius_miles": 30, "state": "TX"},
        {"state": "TX", "city": "Austin", "zip": "78701", "radius_miles": 30},
    ],
    ids=str,
)
def test_no_expansion_loses_a_matching_place(raw: dict[str, Any]) -> None:
    run = request(raw)
    wider = [criteria for options in EXPANSIONS if (criteria := amended(run, options)) is not None]
    assert wider
    for place in PLACES:
        known = CompanyFacts(places=(place,))
        if judge_criteria(run.criteria, known, None)[0].value is VerdictValue.MET:
            assert {judge_criteria(after.criteria, known, None)[0].value for after in wider} == {VerdictValue.MET}
    assert not [after for after in wider if after.criteria.radius_miles is not None and after.criteria.zip is None]
