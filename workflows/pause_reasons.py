"""Explains to a person why a run can't continue by itself. Pure.

``lead_list.py`` decides when a run asks; ``activities/decision_options.py`` works out the options.
"""

from dataclasses import dataclass

from domain.company.status import Interruption
from domain.failures import Outage
from domain.request.decision import DecisionReason
from domain.request.search_plan import YIELD_WINDOW, TaskKind
from workflows.state import RunState

# Once 20 companies have ended, fewer than one in ten complete counts as a low match rate.
_ENDED_MIN, _MATCH_RATE_MIN = 20, 0.1


@dataclass(frozen=True)
class PauseReason:
    reason: DecisionReason
    message: str


def exhausted(state: RunState) -> PauseReason:
    have, searched = _complete(state), _searched(state)
    short_of_contacts = state.funnel.get("contacts_short", 0)
    if short_of_contacts >= max(1, state.target - state.ready):
        message = f"{have}; {short_of_contacts} more fit but have too few reachable decision makers; {searched}."
        return PauseReason(DecisionReason.CONTACTS_SHORT, message)
    if state.ended >= _ENDED_MIN and len(state.complete) < _MATCH_RATE_MIN * state.ended:
        message = f"{have}; only {len(state.complete)} of {state.ended} companies found fit; {searched}."
        return PauseReason(DecisionReason.LOW_MATCH_RATE, message)
    message = f"{have}; {searched}; {state.ended} companies were judged."
    return PauseReason(DecisionReason.CANDIDATES_EXHAUSTED, message)


def interrupted(interruption: Interruption, state: RunState, outages: tuple[Outage, ...] = ()) -> PauseReason:
    if interruption is Interruption.DEPENDENCY_DOWN:
        return PauseReason(DecisionReason.DEPENDENCY_DOWN, f"{_complete(state)}; {_what_is_down(outages)}.")
    limits = state.request.limits
    caps = [f"${limits.max_cost_usd:g}"] if limits.max_cost_usd is not None else []
    caps += [f"{limits.max_model_calls} model calls"] if limits.max_model_calls is not None else []
    message = f"{_complete(state)}; the limit of {' or '.join(caps) or 'the run'} does not allow another model call."
    return PauseReason(DecisionReason.BUDGET_REACHED, message)


def stage_timed_out(state: RunState) -> PauseReason:
    timeout_s = state.request.limits.stage_timeout_s
    message = f"{_complete(state)}; the stage {state.stage.value} reached its time-out of {timeout_s} seconds."
    return PauseReason(DecisionReason.STAGE_TIMEOUT, message)


def _complete(state: RunState) -> str:
    return f"{state.ready} of {state.target} companies are complete"


def _searched(state: RunState) -> str:
    skipped = []
    if state.exhausted_kinds:
        kinds = _listed(state.exhausted_kinds)
        skipped.append(
            f"others ({kinds}) were skipped: the last {YIELD_WINDOW} of their kind found hardly anything new"
        )
    if state.skipped_before:
        kinds = _listed(state.skipped_before)
        skipped.append(f"others ({kinds}) were skipped: a recent identical run found nothing new there")
    if not skipped:
        return f"all {state.tasks_done} searches are done"
    return f"{state.tasks_done} searches are done; {'; '.join(skipped)}"


def _listed(kinds: tuple[TaskKind, ...]) -> str:
    return ", ".join(kind.replace("_", " ") for kind in kinds)


def _what_is_down(outages: tuple[Outage, ...]) -> str:
    if not outages:
        return "the model, the web search, the CRM or the database did not answer after several attempts"
    advice = [outage.advice for outage in outages if outage.needs_person]
    silent = " and ".join(f"the {outage.dependency.value}" for outage in outages if not outage.needs_person)
    parts = [f"{silent} did not answer after several attempts"] if silent else []
    return "; ".join(parts + (advice or ["the run goes on by itself when it answers again"]))
