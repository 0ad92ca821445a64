"""Why a run cannot go on by itself, in words for a person. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from domain.company.status import Interruption
from domain.failures import Outage
from domain.request.decision import DecisionReason
from domain.request.search_plan import YIELD_WINDOW, TaskKind
from workflows.state import RunState

# From this many settled companies on, a survival below one in ten says that the criteria fit hardly anyone.
_SETTLED_MIN, _MATCH_RATE_MIN = 20, 0.1


@dataclass(frozen=True)
class PauseReason:
    """Reason and message of the question to put."""

    reason: DecisionReason
    message: str


def exhausted(state: RunState) -> PauseReason:
    """Nothing is left to try: every search is done or brings nothing new, and every company has ended."""
    have = f"{state.ready} of {state.target} companies are complete"
    short_of_contacts = state.funnel.get("contacts_short", 0)
    searched = f"all {state.tasks_done} searches are done"
    left = []
    if state.exhausted_kinds:
        left.append(
            f"({_listed(state.exhausted_kinds)}) were left, since the last {YIELD_WINDOW} of their kind found hardly any new company"
        )
    if state.skipped_before:
        left.append(
            f"({_listed(state.skipped_before)}) were left, since a run for the same shortly before found that out of its own"
        )
    if left:
        searched = f"{state.tasks_done} searches are done; further ones {' and '.join(left)}"
    if short_of_contacts >= max(1, state.target - state.ready):
        message = f"{have}; {short_of_contacts} more fit but have too few reachable decision makers; {searched}."
        return PauseReason(DecisionReason.CONTACTS_SHORT, message)
    if state.ended >= _SETTLED_MIN and len(state.complete) < _MATCH_RATE_MIN * state.ended:
        message = f"{have}; only {len(state.complete)} of {state.ended} companies found fit; {searched}."
        return PauseReason(DecisionReason.LOW_MATCH_RATE, message)
    return PauseReason(DecisionReason.CANDIDATES_EXHAUSTED, f"{have}; {searched}; {state.ended} companies were judged.")


def interrupted(interruption: Interruption, state: RunState, outages: Iterable[Outage] = ()) -> PauseReason:
    """A step was not allowed or not able to go on.

    Args:
        outages: what is down, as far as it is known.
    """
    have = f"{state.ready} of {state.target} companies are complete"
    if interruption is Interruption.DEPENDENCY_DOWN:
        return PauseReason(DecisionReason.DEPENDENCY_DOWN, f"{have}; {_what_is_down(tuple(outages))}")
    limits = state.request.limits
    caps = [f"${limits.max_cost_usd:g}"] if limits.max_cost_usd is not None else []
    caps += [f"{limits.max_model_calls} model calls"] if limits.max_model_calls is not None else []
    message = f"{have}; the limit of {' or '.join(caps) or 'the run'} does not allow another model call."
    return PauseReason(DecisionReason.BUDGET_REACHED, message)


def _listed(kinds: tuple[TaskKind, ...]) -> str:
    return ", ".join(kind.replace("_", " ") for kind in kinds)


def stage_timed_out(state: RunState) -> PauseReason:
    """A stage took longer than its time-out."""
    message = (
        f"{state.ready} of {state.target} companies are complete; the stage {state.stage.value} has taken its "
        f"{state.request.limits.stage_timeout_s} seconds."
    )
    return PauseReason(DecisionReason.STAGE_TIMEOUT, message)


def _what_is_down(outages: tuple[Outage, ...]) -> str:
    if not outages:
        return "the model, the web search, the CRM or the database did not answer after several attempts."
    refusing = [outage.advice for outage in outages if outage.needs_person]
    silent = " and ".join(f"the {outage.dependency.value}" for outage in outages if not outage.needs_person)
    parts = [f"{silent} did not answer after several attempts"] if silent else []
    parts += refusing or ["the run goes on by itself when it answers again"]
    return "; ".join(parts) + "."
