"""The question a run puts to a person, the answer, and what the answer changes. Pure (DESIGN, "The run").

Question and answer carry a ``decision_id``: an early or late click can never answer another question. One parser serves
the signal, the validated update and the command line.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rapidfuzz import process

from domain.company.places import zip_place
from domain.request.criteria import CRITERION_KEYS, Criteria, CriteriaError, CriterionKey, Mode, parse_criteria
from domain.request.run_request import Limits, RunRequest


class DecisionReason(StrEnum):
    """Why a run asks."""

    CANDIDATES_EXHAUSTED = "candidates_exhausted"
    LOW_MATCH_RATE = "low_match_rate"
    CONTACTS_SHORT = "contacts_short"
    BUDGET_REACHED = "budget_reached"
    STAGE_TIMEOUT = "stage_timeout"
    DEPENDENCY_DOWN = "dependency_down"


class DecisionAction(StrEnum):
    """What a person can decide. Each amends the same run, which then goes on."""

    ACCEPT_PARTIAL = "accept_partial"
    EXPAND_LOCATION = "expand_location"
    LOOSEN_PMS = "loosen_pms"
    LOWER_UNITS = "lower_units"
    ACCEPT_UNKNOWN = "accept_unknown"
    RAISE_BUDGET = "raise_budget"
    RETRY = "retry"
    CANCEL = "cancel"


ENDING = frozenset({DecisionAction.ACCEPT_PARTIAL, DecisionAction.CANCEL})
"""After these the run looks no further."""


class DecisionError(ValueError):
    """The answer makes no sense for the open question; the message says why and what would."""


class DecisionOption(BaseModel):
    """One way to go on, ready to send.

    Attributes:
        answer: the JSON object to send as it is.
        expected_companies: companies found already that it takes up again, each of which may become complete; what further
            searches find comes on top. None where nobody can tell.
        expected_cost_usd: what those of them would cost that are still missing, at the cost of a complete company so far;
            None where nobody can tell.
    """

    model_config = ConfigDict(frozen=True)

    action: DecisionAction
    description: str
    answer: dict[str, Any]
    expected_companies: int | None = None
    expected_cost_usd: float | None = None

    @property
    def expectation(self) -> str:
        """What it may yield and cost, in words; empty where nobody can tell."""
        if not self.expected_companies:
            return ""
        cost = f", about ${self.expected_cost_usd:.2f}" if self.expected_cost_usd else ""  # 0: no price is known
        return f"{self.expected_companies:,} found already may fit{cost}; searches may find more"


class DecisionRequest(BaseModel):
    """An open question. While it is open, nothing is bought.

    Attributes:
        funnel: companies by where they ended, as counted when the question was put.
        default: what is done when nobody has answered by the deadline (UTC).
        problem: why the last answer was refused, if one was.
    """

    model_config = ConfigDict(frozen=True)

    decision_id: str
    reason: DecisionReason
    message: str
    funnel: dict[str, int]
    options: tuple[DecisionOption, ...]
    default: DecisionAction
    deadline: datetime
    problem: str | None = None


class Decision(BaseModel):
    """A person's answer. ``decided_by`` is a name or role for the audit trail."""

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
    DecisionAction.ACCEPT_PARTIAL: (),
    DecisionAction.EXPAND_LOCATION: ("states", "cities", "radius_miles", "whole_state"),
    DecisionAction.LOOSEN_PMS: ("pms", "pms_soft"),
    DecisionAction.LOWER_UNITS: ("units_min",),
    DecisionAction.ACCEPT_UNKNOWN: ("criteria",),
    DecisionAction.RAISE_BUDGET: ("max_cost_usd", "max_model_calls"),
    DecisionAction.RETRY: (),
    DecisionAction.CANCEL: (),
}


def parse_decision(
    raw: object, pending: DecisionRequest | None, request: RunRequest, *, key_names: Mapping[str, str] | None = None
) -> Decision:
    """Understand an answer and check it against the open question and the run.

    Args:
        key_names: what the answer's keys are called where the person gives them, for the messages; by default as here.

    Raises:
        DecisionError: no question is open, it answers another one, the action is unknown, its options are missing, do
            not belong to it, or would change nothing.
    """
    if not isinstance(raw, Mapping):
        raise DecisionError('a decision is a JSON object such as {"decision_id": "…", "action": "accept_partial"}')
    if pending is None:
        raise DecisionError("this run is not waiting for a decision")
    _check_action_name(raw.get("action"))
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
    """The run as the decision changes it.

    Raises:
        DecisionError: the decision would change nothing, or makes criteria that are not valid.
    """
    criteria, limits = request.criteria, request.limits
    match decision.action:
        case DecisionAction.EXPAND_LOCATION:
            criteria = _expanded(criteria, decision)
        case DecisionAction.LOOSEN_PMS:
            criteria = _loosened(criteria, decision)
        case DecisionAction.LOWER_UNITS:
            criteria = _lowered(criteria, decision)
        case DecisionAction.ACCEPT_UNKNOWN:
            criteria = _unknown_accepted(criteria, decision)
        case DecisionAction.RAISE_BUDGET:
            limits = _raised(limits, decision)
        case _:
            return request
    return request.model_copy(update={"criteria": criteria, "limits": limits})


def _check_action_name(action: object) -> None:
    known = [item.value for item in DecisionAction]
    if action in known:
        return
    match = process.extractOne(str(action), known, score_cutoff=60) if action else None
    hint = f"did you mean {match[0]!r}?" if match else f"actions: {', '.join(known)}"
    raise DecisionError(f"unknown action {action!r}; {hint}")


def _named(names: Iterable[str], key_names: Mapping[str, str] | None) -> list[str]:
    return [(key_names or {}).get(name, name) for name in names]


def _check_options(decision: Decision, key_names: Mapping[str, str] | None) -> None:
    takes = _OPTIONS_OF[decision.action]
    # A number is given even where it is 0; a list or a yes/no only where it says something.
    given = [
        name
        for names in _OPTIONS_OF.values()
        for name in names
        if (value := getattr(decision, name)) or (isinstance(value, int | float) and not isinstance(value, bool))
    ]
    foreign = [name for name in given if name not in takes]
    if foreign:
        raise DecisionError(f"{decision.action.value} takes no {', '.join(_named(foreign, key_names))}")
    if takes and not given:
        raise DecisionError(f"{decision.action.value} needs {' or '.join(_named(takes, key_names))}")


def _expanded(criteria: Criteria, decision: Decision) -> Criteria:
    if "place" not in criteria.asked():
        raise DecisionError("the request names no place, so there is none to expand")
    if decision.radius_miles is not None and criteria.zip is None:
        raise DecisionError("radius_miles only fits a request around a zip; give states or cities")
    if (decision.states or decision.whole_state) and decision.radius_miles is not None:
        raise DecisionError("whole states leave no radius to widen: give one of them")
    if decision.cities and (decision.whole_state or not criteria.cities):
        raise DecisionError("the request is not, or would no longer be, limited to cities: a city would only narrow it")
    added: dict[str, Any] = {}
    if decision.radius_miles is not None:
        added |= {"zip": criteria.zip, "radius_miles": decision.radius_miles}
    if decision.states:
        added["states"] = list(decision.states)
    if decision.cities:
        added["cities"] = list(decision.cities)
    try:
        parsed = parse_criteria(added).criteria
    except CriteriaError as error:
        raise DecisionError(str(error)) from error
    update: dict[str, Any] = {"states": tuple(dict.fromkeys((*criteria.states, *parsed.states)))}
    if decision.whole_state or parsed.states:
        # A new state is meant whole; a city left standing would keep all of its companies out.
        if decision.whole_state and not update["states"]:
            raise DecisionError("whole_state needs a state: give states as well")
        around = zip_place(criteria.zip) if criteria.zip and not criteria.states else None
        if around is not None and around.state is not None:
            update["states"] = tuple(dict.fromkeys((around.state, *update["states"])))
        update |= {"cities": (), "zip": None, "radius_miles": None}
    if parsed.cities:
        update["cities"] = tuple(dict.fromkeys((*criteria.cities, *parsed.cities)))
    if decision.radius_miles is not None:
        if decision.radius_miles <= (criteria.radius_miles or 0):
            raise DecisionError(f"radius_miles must be above the present {criteria.radius_miles or 0:g}")
        update["radius_miles"] = decision.radius_miles
    return _changed(criteria, update, "the location")


def _loosened(criteria: Criteria, decision: Decision) -> Criteria:
    if not criteria.pms:
        raise DecisionError("the request names no property management software, so there is none to loosen")
    update: dict[str, Any] = {}
    if decision.pms:
        try:
            parsed = parse_criteria({"pms": list(decision.pms)}).criteria
        except CriteriaError as error:
            raise DecisionError(str(error)) from error
        excluded = set(parsed.pms) & set(criteria.pms_exclude)
        if excluded:
            raise DecisionError(f"{', '.join(sorted(excluded))} is excluded by the request (pms_exclude)")
        update["pms"] = tuple(dict.fromkeys((*criteria.pms, *parsed.pms)))
    if decision.pms_soft:
        update["modes"] = {**criteria.modes, "pms": Mode.SOFT}
    return _changed(criteria, update, "the property management software")


def _lowered(criteria: Criteria, decision: Decision) -> Criteria:
    if criteria.units_min is None:
        raise DecisionError("the request has no units_min to lower")
    if decision.units_min is None or decision.units_min >= criteria.units_min:
        raise DecisionError(f"units_min must be below the present {criteria.units_min}")
    return criteria.model_copy(update={"units_min": decision.units_min})


def _unknown_accepted(criteria: Criteria, decision: Decision) -> Criteria:
    foreign = [key for key in decision.criteria if key not in criteria.asked()]
    if foreign:
        asked = ", ".join(criteria.asked()) or "none"
        raise DecisionError(f"the request does not ask for {', '.join(foreign)}; it asks for: {asked}")
    accepted = tuple(key for key in CRITERION_KEYS if key in {*criteria.unknown_accepted, *decision.criteria})
    return _changed(criteria, {"unknown_accepted": accepted}, "what is accepted as unknown")


def _raised(limits: Limits, decision: Decision) -> Limits:
    update: dict[str, Any] = {}
    if decision.max_cost_usd is not None:
        if limits.max_cost_usd is None:
            raise DecisionError("the run has no max_cost_usd to raise")
        if decision.max_cost_usd <= limits.max_cost_usd:
            raise DecisionError(f"max_cost_usd must be above the present {limits.max_cost_usd}")
        update["max_cost_usd"] = decision.max_cost_usd
    if decision.max_model_calls is not None:
        if limits.max_model_calls is None:
            raise DecisionError("the run has no max_model_calls to raise")
        if decision.max_model_calls <= limits.max_model_calls:
            raise DecisionError(f"max_model_calls must be above the present {limits.max_model_calls}")
        update["max_model_calls"] = decision.max_model_calls
    return limits.model_copy(update=update)


def _changed(criteria: Criteria, update: dict[str, Any], what: str) -> Criteria:
    amended = criteria.model_copy(update=update)
    if amended == criteria:
        raise DecisionError(f"this would not change {what}")
    return amended
