"""The question a run asks a person, and how the answer changes the run.

Question and answer share a ``decision_id``, so a late answer cannot answer a newer question. The signal, the update and
the command line use the same parser.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.company.places import zip_place
from domain.frozen_model import FrozenModel
from domain.request.criteria import (
    CRITERION_KEYS,
    Criteria,
    CriteriaError,
    CriterionKey,
    Mode,
    did_you_mean,
    parse_criteria,
)
from domain.request.run_request import Limits, RunRequest

T = TypeVar("T")


class DecisionReason(StrEnum):
    CANDIDATES_EXHAUSTED = "candidates_exhausted"
    LOW_MATCH_RATE = "low_match_rate"
    CONTACTS_SHORT = "contacts_short"
    BUDGET_REACHED = "budget_reached"
    STAGE_TIMEOUT = "stage_timeout"
    DEPENDENCY_DOWN = "dependency_down"


class DecisionAction(StrEnum):
    """What a person can decide. Actions in ``ENDING`` end the run. After the others it continues."""

    ACCEPT_PARTIAL = "accept_partial"
    EXPAND_LOCATION = "expand_location"
    LOOSEN_PMS = "loosen_pms"
    LOWER_UNITS = "lower_units"
    ACCEPT_UNKNOWN = "accept_unknown"
    RAISE_BUDGET = "raise_budget"
    RETRY = "retry"
    CANCEL = "cancel"


ENDING = frozenset({DecisionAction.ACCEPT_PARTIAL, DecisionAction.CANCEL})


class DecisionError(ValueError):
    """Raised if an answer does not fit the open question. The message says why."""


class DecisionOption(FrozenModel):
    """One possible answer.

    Attributes:
        answer: the JSON object to send.
        expected_companies: rejected companies that may become complete. None if unknown.
        expected_cost_usd: estimated cost to complete them, but at most as many as the run still needs.
    """

    action: DecisionAction
    description: str
    answer: dict[str, Any]
    expected_companies: int | None = None
    expected_cost_usd: float | None = None

    @property
    def expectation(self) -> str:
        if not self.expected_companies:
            return ""
        cost = f", about ${self.expected_cost_usd:.2f}" if self.expected_cost_usd else ""  # 0 means no known price
        return f"{self.expected_companies:,} found already may fit{cost}; searches may find more"


class DecisionRequest(FrozenModel):
    """An open question, during which the run buys nothing. After the deadline (UTC), ``default`` is applied."""

    decision_id: str
    reason: DecisionReason
    message: str
    funnel: dict[str, int]
    options: tuple[DecisionOption, ...]
    default: DecisionAction
    deadline: datetime
    problem: str | None = None


class Decision(BaseModel):
    """A person's answer. ``decided_by`` is a name or role."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    decision_id: str
    action: DecisionAction
    decided_by: str = "unknown"
    note: str = ""
    states: tuple[str, ...] = ()
    cities: tuple[str, ...] = ()
    radius_miles: float | None = None
    whole_state: bool = False
    pms: tuple[str, ...] = ()
    pms_soft: bool = False
    units_min: int | None = Field(default=None, ge=0)
    criteria: tuple[CriterionKey, ...] = ()
    max_cost_usd: float | None = Field(default=None, gt=0)
    max_model_calls: int | None = Field(default=None, gt=0)


_OPTIONS_OF: dict[DecisionAction, tuple[str, ...]] = {
    DecisionAction.EXPAND_LOCATION: ("states", "cities", "radius_miles", "whole_state"),
    DecisionAction.LOOSEN_PMS: ("pms", "pms_soft"),
    DecisionAction.LOWER_UNITS: ("units_min",),
    DecisionAction.ACCEPT_UNKNOWN: ("criteria",),
    DecisionAction.RAISE_BUDGET: ("max_cost_usd", "max_model_calls"),
}


def parse_decision(
    raw: object, pending: DecisionRequest | None, request: RunRequest, *, key_names: Mapping[str, str] | None = None
) -> Decision:
    """Parse an answer and check it against the open question and the run.

    Args:
        key_names: the sender's names for the answer's keys, used in messages (such as command-line flags).

    Raises:
        DecisionError: the answer is for another question, is invalid, or would change nothing.
    """
    if not isinstance(raw, Mapping):
        raise DecisionError('a decision is a JSON object such as {"decision_id": "…", "action": "accept_partial"}')
    if pending is None:
        raise DecisionError("this run is not waiting for a decision")
    action, actions = raw.get("action"), [item.value for item in DecisionAction]
    if action not in actions:
        hint = did_you_mean(action, actions, f"actions: {', '.join(actions)}")
        raise DecisionError(f"unknown action {action!r}; {hint}")
    try:
        decision = Decision.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(_named(map(str, e['loc']), key_names))}: {e['msg']}" for e in error.errors())
        raise DecisionError(f"the decision was not understood: {problems}") from error
    if decision.decision_id != pending.decision_id:
        raise DecisionError(
            f"decision {decision.decision_id!r} is not the open question; the open one is {pending.decision_id!r}"
        )
    _check_options(decision, key_names)
    amend(request, decision)
    return decision


def amend(request: RunRequest, decision: Decision) -> RunRequest:
    """Return the request with the decision applied. Raises ``DecisionError`` if that would change nothing."""
    match decision.action:
        case DecisionAction.EXPAND_LOCATION:
            criteria = _expand_location(request.criteria, decision)
        case DecisionAction.LOOSEN_PMS:
            criteria = _loosen_pms(request.criteria, decision)
        case DecisionAction.LOWER_UNITS:
            criteria = _lower_units(request.criteria, decision)
        case DecisionAction.ACCEPT_UNKNOWN:
            criteria = _accept_unknown(request.criteria, decision)
        case DecisionAction.RAISE_BUDGET:
            return request.model_copy(update={"limits": _raise_budget(request.limits, decision)})
        case _:
            return request
    return request.model_copy(update={"criteria": criteria})


def _named(names: Iterable[str], key_names: Mapping[str, str] | None) -> list[str]:
    return [(key_names or {}).get(name, name) for name in names]


def _check_options(decision: Decision, key_names: Mapping[str, str] | None) -> None:
    takes = _OPTIONS_OF.get(decision.action, ())
    values = {name: getattr(decision, name) for names in _OPTIONS_OF.values() for name in names}
    given = [name for name, value in values.items() if value or (value == 0 and value is not False)]
    foreign = [name for name in given if name not in takes]
    if foreign:
        raise DecisionError(f"{decision.action.value} takes no {', '.join(_named(foreign, key_names))}")
    if takes and not given:
        raise DecisionError(f"{decision.action.value} needs {' or '.join(_named(takes, key_names))}")


def _expand_location(criteria: Criteria, decision: Decision) -> Criteria:
    radius, whole_state = decision.radius_miles, decision.whole_state
    if "place" not in criteria.asked():
        raise DecisionError("the request names no place to expand")
    if radius is not None and criteria.zip is None:
        raise DecisionError("radius_miles only fits a request around a zip; give states or cities")
    if (decision.states or whole_state) and radius is not None:
        raise DecisionError("whole states leave no radius to widen: give one of them")
    if decision.cities and (whole_state or not criteria.cities):
        raise DecisionError("the request is not, or would no longer be, limited to cities: a city would only narrow it")
    added: dict[str, Any] = {"states": list(decision.states) or None, "cities": list(decision.cities) or None}
    if radius is not None:
        added |= {"zip": criteria.zip, "radius_miles": radius}
    parsed = _parse(added)
    states, cities = _merged(criteria.states, parsed.states), _merged(criteria.cities, parsed.cities)
    update: dict[str, Any] = {}
    if whole_state or parsed.states:
        # A new state means the whole state. The old cities would exclude its companies.
        if whole_state and not states:
            raise DecisionError("whole_state needs a state: give states as well")
        around = zip_place(criteria.zip) if criteria.zip and not criteria.states else None
        if around is not None and around.state is not None:
            states = _merged((around.state,), states)
        cities = cities if parsed.cities else ()
        update |= {"zip": None, "radius_miles": None}
    if radius is not None:
        if radius <= (criteria.radius_miles or 0):
            raise DecisionError(f"radius_miles must be above the present {criteria.radius_miles or 0:g}")
        update["radius_miles"] = radius
    return _changed(criteria, {**update, "states": states, "cities": cities}, "the location")


def _loosen_pms(criteria: Criteria, decision: Decision) -> Criteria:
    if not criteria.pms:
        raise DecisionError("the request names no property management software to loosen")
    parsed = _parse({"pms": list(decision.pms) or None})
    excluded = set(parsed.pms) & set(criteria.pms_exclude)
    if excluded:
        raise DecisionError(f"{', '.join(sorted(excluded))} is excluded by the request (pms_exclude)")
    update: dict[str, Any] = {"pms": _merged(criteria.pms, parsed.pms)}
    if decision.pms_soft:
        update["modes"] = {**criteria.modes, "pms": Mode.SOFT}
    return _changed(criteria, update, "the property management software")


def _lower_units(criteria: Criteria, decision: Decision) -> Criteria:
    if criteria.units_min is None:
        raise DecisionError("the request has no units_min to lower")
    if decision.units_min is None or decision.units_min >= criteria.units_min:
        raise DecisionError(f"units_min must be below the present {criteria.units_min}")
    return criteria.model_copy(update={"units_min": decision.units_min})


def _accept_unknown(criteria: Criteria, decision: Decision) -> Criteria:
    foreign = [key for key in decision.criteria if key not in criteria.asked()]
    if foreign:
        asked = ", ".join(criteria.asked()) or "none"
        raise DecisionError(f"the request does not ask for {', '.join(foreign)}; it asks for: {asked}")
    accepted = tuple(key for key in CRITERION_KEYS if key in (*criteria.unknown_accepted, *decision.criteria))
    return _changed(criteria, {"unknown_accepted": accepted}, "what is accepted as unknown")


def _raise_budget(limits: Limits, decision: Decision) -> Limits:
    update: dict[str, float] = {}
    for name in _OPTIONS_OF[DecisionAction.RAISE_BUDGET]:
        raised, present = getattr(decision, name), getattr(limits, name)
        if raised is None:
            continue
        if present is None:
            raise DecisionError(f"the run has no {name} to raise")
        if raised <= present:
            raise DecisionError(f"{name} must be above the present {present}")
        update[name] = raised
    return limits.model_copy(update=update)


def _parse(added: dict[str, Any]) -> Criteria:
    try:
        return parse_criteria(added).criteria
    except CriteriaError as error:
        raise DecisionError(str(error)) from error


def _merged(present: tuple[T, ...], added: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*present, *added)))


def _changed(criteria: Criteria, update: dict[str, Any], what: str) -> Criteria:
    amended = criteria.model_copy(update=update)
    if amended == criteria:
        raise DecisionError(f"this would not change {what}")
    return amended
