"""A decision reopens exactly the ended companies it may help."""

import pytest

from domain.company.status import ReasonCode
from domain.request.criteria import CRITERION_KEYS
from domain.request.decision import Decision, DecisionAction
from domain.request.reopening import reopened_reasons

REOPENED = {
    DecisionAction.EXPAND_LOCATION: {"place_not_met", "place_unknown"},
    DecisionAction.LOOSEN_PMS: {"pms_not_met", "pms_unknown"},
    DecisionAction.LOWER_UNITS: {"units_not_met"},
    DecisionAction.RETRY: {"step_failed", "no_research", "contacts_short", "site_dead", "site_blocked"},
    DecisionAction.ACCEPT_UNKNOWN: set(),
    DecisionAction.ACCEPT_PARTIAL: set(),
    DecisionAction.RAISE_BUDGET: set(),
    DecisionAction.CANCEL: set(),
}


@pytest.mark.parametrize("action", DecisionAction)
def test_each_action_reopens_what_it_may_help_and_nothing_else(action: DecisionAction) -> None:
    reasons = reopened_reasons(Decision(decision_id="decision-1", action=action))
    assert {reason.value for reason in reasons} == REOPENED[action]
    assert len(set(reasons)) == len(reasons)


@pytest.mark.parametrize("key", CRITERION_KEYS)
def test_accepting_the_unknown_reopens_the_criterion_accepted(key: str) -> None:
    decision = Decision.model_validate({"decision_id": "d", "action": "accept_unknown", "criteria": [key]})
    assert reopened_reasons(decision) == (ReasonCode(f"{key}_unknown"),)


@pytest.mark.parametrize("action", DecisionAction)
def test_no_decision_reopens_a_suppressed_or_duplicate_one(
    action: DecisionAction,
) -> None:
    decision = Decision(decision_id="d", action=action, criteria=CRITERION_KEYS)
    never = {
        ReasonCode.SUPPRESSED,
        ReasonCode.DUPLICATE,
        ReasonCode.COMPLETE,
        ReasonCode.ICP_DISQUALIFIED,
        ReasonCode.NO_OWN_DOMAIN,
    }
    assert not never & set(reopened_reasons(decision))
