"""The run's rules: when companies and searches start, when the target is filled, which companies are selected.

The selection must not depend on which company was faster.
"""

from dataclasses import dataclass, field
from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.activity_io import (
    POSITIONS_PER_TASK,
    CompanyOutcome,
    CompanyRef,
    SearchTaskOutcome,
    SearchTaskRef,
    Spend,
    WithdrawnCompany,
)
from domain.company.status import CompanyStatus, ReasonCode
from domain.request.criteria import Criteria
from domain.request.run_request import RunRequest
from domain.request.search_plan import YIELD_WINDOW, TaskKind
from tests.workflows.fake_run import at
from workflows.state import RunState

COMPLETE = CompanyOutcome(
    status=CompanyStatus.COMPLETE, reason=ReasonCode.COMPLETE, contacts=2, spend=Spend(cost_usd=0.25, model_calls=2)
)
REJECTED = CompanyOutcome(status=CompanyStatus.REJECTED, reason=ReasonCode.PMS_NOT_MET)
DUPLICATE = CompanyOutcome(status=CompanyStatus.DUPLICATE)


def state_of(target: int, ended: dict[int, CompanyOutcome] | None = None, queue: tuple[int, ...] = ()) -> RunState:
    """A state with companies that ended or are queued, by position."""
    state = RunState(request=RunRequest(run_id=UUID(int=1), criteria=Criteria(), target_quantity=target))
    for position, outcome in (ended or {}).items():
        state.company_ended(ref(position), outcome)
    for position in queue:
        state.enqueue(ref(position))
    return state


def ref(position: int) -> CompanyRef:
    return CompanyRef(company_id=UUID(int=position + 1), position=position)


def withdrawn(position: int, reason: ReasonCode = ReasonCode.SUPPRESSED) -> WithdrawnCompany:
    return WithdrawnCompany(**ref(position).model_dump(), reason=reason)


def task(ordinal: int, kind: TaskKind = "individual") -> SearchTaskRef:
    return SearchTaskRef(task_id=UUID(int=ordinal + 1), ordinal=ordinal, label="query", kind=kind)


# Starting work


@pytest.mark.parametrize(
    ("ended", "rate"),
    [({}, 0.5), (dict.fromkeys(range(8), COMPLETE), 0.9), (dict.fromkeys(range(8), REJECTED), 0.1)],
    ids=["prior", "all complete", "none complete"],
)
def test_the_survival_rate_follows_what_is_measured(ended: dict[int, CompanyOutcome], rate: float) -> None:
    assert state_of(5, ended).survival_rate() == rate


def test_companies_start_until_the_expected_survivors_fill_the_target() -> None:
    state = state_of(3)
    assert state.needs_company(5) and not state.needs_company(6)


def test_nothing_starts_once_the_target_is_complete() -> None:
    state = state_of(2, {0: COMPLETE, 1: COMPLETE}, queue=(7,))
    assert not state.needs_company(0) and not state.needs_task(0)
    assert state.next_company(0) is None


def test_an_earlier_company_starts_though_the_target_is_reached() -> None:
    state = state_of(1, {5: COMPLETE}, queue=(9, 2))
    assert [state.next_company(0), state.next_company(1)] == [ref(2), None]


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), max_size=30))
def test_the_queue_returns_each_company_once_in_order(positions: list[int]) -> None:
    state = state_of(10_000, queue=tuple(positions))
    taken = []
    while (company := state.next_company(0)) is not None:
        taken.append(company.position)
    assert taken == sorted(set(positions))


def test_a_search_starts_only_if_known_companies_are_not_enough() -> None:
    state = state_of(3, queue=(0, 1, 2, 3))
    assert state.needs_task(1) and not state.needs_task(2)


def test_a_requeued_search_starts_if_it_may_change_the_selection() -> None:
    state = state_of(1, {at(1): COMPLETE})
    state.requeue_task(task(2))
    assert not state.needs_task(0)
    state.requeue_task(task(0))
    assert [waiting.ordinal for waiting in state.tasks] == [0, 2]
    assert state.needs_task(0) and not state.is_filled([], [])


# Counting


def test_every_end_is_counted_under_its_reason_with_its_cost() -> None:
    state = state_of(5, {0: COMPLETE, 1: REJECTED, 2: REJECTED, 3: DUPLICATE, 4: COMPLETE})
    assert state.funnel == {"complete": 2, "pms_not_met": 2, "duplicate": 1}
    assert (state.ended, state.ready, state.contacts_ready) == (5, 2, 4)
    assert state.spend == Spend(cost_usd=0.5, model_calls=4)


def test_only_the_selected_companies_and_contacts_count_as_ready() -> None:
    contacts = {30: 3, 10: 1, 20: 2}
    state = state_of(2, {p: COMPLETE.model_copy(update={"contacts": count}) for p, count in contacts.items()})
    assert (state.ready, state.contacts_ready, state.last_selected()) == (2, 3, 20)


def test_a_withdrawn_company_opens_the_search_again() -> None:
    state = state_of(1, {5: COMPLETE})
    assert state.is_filled([], [])
    state.withdraw(withdrawn(5))
    assert not state.is_filled([], []) and state.needs_company(0)
    assert (state.ready, state.contacts_ready, state.funnel["complete"], state.funnel["suppressed"]) == (0, 0, 0, 1)


def test_withdrawing_an_incomplete_company_changes_nothing() -> None:
    state = state_of(1, {5: REJECTED})
    state.withdraw(withdrawn(5))
    assert state == state_of(1, {5: REJECTED})


def test_a_withdrawn_company_counts_as_ended_once() -> None:
    state = state_of(1, {5: COMPLETE})
    state.withdraw(withdrawn(5, ReasonCode.CONTACTS_SHORT))
    assert state.funnel == {"complete": 0, "contacts_short": 1}
    state.reopen(["contacts_short"])
    assert (state.ended, state.funnel) == (0, {"complete": 0})


def test_reopened_companies_no_longer_count_as_ended() -> None:
    state = state_of(5, {0: REJECTED, 1: REJECTED, 2: COMPLETE})
    state.reopen(["pms_not_met", "units_not_met"])
    assert (state.ended, state.funnel) == (1, {"complete": 1})


# The selection


@pytest.mark.parametrize(
    ("open_companies", "open_tasks", "queue", "is_filled"),
    [
        ([at(2, 4)], [3], (), True),
        ([7], [], (), False),
        ([], [1], (), False),
        ([], [2], (), False),
        ([], [], (7,), False),
    ],
    ids=["all later", "earlier company", "earlier search", "its own search", "queued"],
)
def test_the_target_is_filled_when_nothing_earlier_is_open(
    open_companies: list[int], open_tasks: list[int], queue: tuple[int, ...], is_filled: bool
) -> None:
    state = state_of(1, {at(2, 3): COMPLETE}, queue)
    assert state.is_filled(open_companies, open_tasks) == is_filled


@dataclass
class World:
    """Per search, whether each company it finds would become complete."""

    target: int
    tasks: list[list[bool]]
    window: int

    def best(self) -> list[int]:
        every = [at(ordinal, i) for ordinal, companies in enumerate(self.tasks) for i in range(len(companies))]
        return [position for position in every if self.is_good(position)][: self.target]

    def is_good(self, position: int) -> bool:
        return self.tasks[position // POSITIONS_PER_TASK][position % POSITIONS_PER_TASK]


@dataclass
class Played:
    """A run played to its end in one order of completion."""

    selection: list[int]
    filled: bool
    started: int = 0
    needless: list[int] = field(default_factory=list)


def play(world: World, random: Random) -> Played:
    """Play a run as the workflow does. What finishes next is random, and work may be interrupted and requeued."""
    state = state_of(world.target)
    left = [task(ordinal) for ordinal in range(len(world.tasks))]
    open_companies: dict[int, CompanyRef] = {}
    open_tasks: dict[int, SearchTaskRef] = {}
    played = Played([], False)
    interruptions = 5
    while not state.is_filled(list(open_companies), list(open_tasks)):
        while len(open_companies) < world.window:
            frontier = state.last_selected()
            enough = len(state.complete) + state.survival_rate() * len(open_companies) >= state.target
            company = state.next_company(len(open_companies))
            if company is None:
                break
            if enough and (frontier is None or company.position > frontier):
                played.needless.append(company.position)
            played.started += 1
            open_companies[company.position] = company
        while len(open_tasks) < 2 and state.needs_task(len(open_companies)):
            if not state.tasks and left:
                state.tasks, left = left[:3], left[3:]
            if not state.tasks:
                break
            search = state.tasks.pop(0)
            open_tasks[search.ordinal] = search
        open_work: list[CompanyRef | SearchTaskRef] = [*open_companies.values(), *open_tasks.values()]
        if not open_work:
            break
        finished = random.choice(open_work)
        interrupted = interruptions > 0 and random.random() < 0.2
        interruptions -= interrupted
        if isinstance(finished, CompanyRef):
            del open_companies[finished.position]
            if interrupted:
                state.enqueue(finished)
            else:
                state.company_ended(finished, COMPLETE if world.is_good(finished.position) else REJECTED)
        else:
            del open_tasks[finished.ordinal]
            if interrupted:
                state.requeue_task(finished)
            else:
                for index in range(len(world.tasks[finished.ordinal])):
                    state.enqueue(ref(at(finished.ordinal, index)))
    played.filled = state.is_filled(list(open_companies), list(open_tasks))
    played.selection = state.complete[: state.target]
    return played


WORLDS = st.builds(
    World,
    target=st.integers(1, 5),
    tasks=st.lists(st.lists(st.booleans(), max_size=6), min_size=1, max_size=8),
    window=st.integers(1, 8),
)


@given(WORLDS, st.randoms())
@settings(max_examples=200, deadline=None)
def test_any_order_of_completion_selects_the_same_companies(world: World, random: Random) -> None:
    played = play(world, random)
    assert played.selection == world.best()
    assert played.filled == (len(world.best()) == world.target)


@given(WORLDS, st.randoms())
@settings(max_examples=100, deadline=None)
def test_no_unneeded_company_is_started(world: World, random: Random) -> None:
    assert play(world, random).needless == []


@given(st.integers(1, 40), st.randoms())
@settings(max_examples=50, deadline=None)
def test_at_most_twice_the_target_is_started(target: int, random: Random) -> None:
    played = play(World(target, [[True] * 100], window=100), random)
    interrupted_at_most = 5
    assert played.started <= 2 * target + interrupted_at_most


def test_the_state_survives_continuing_as_new() -> None:
    state = state_of(3, {20: COMPLETE}, queue=(9, 3, 7, 1))
    state.requeue_task(task(4))
    again = RunState.model_validate_json(state.model_dump_json())
    assert again == state
    assert [again.next_company(0), again.next_company(0)] == [ref(1), ref(3)]


# Searching


def test_an_exhausted_kind_is_dropped_and_the_others_go_on() -> None:
    state = state_of(5)
    state.tasks = [task(90, "directory_pages"), task(91)]
    for ordinal in range(YIELD_WINDOW):
        assert state.exhausted_kinds == ()
        state.task_done(task(ordinal, "directory_pages"), SearchTaskOutcome(named=2))
        state.task_done(task(50 + ordinal), SearchTaskOutcome(named=2, new=1))
    assert state.exhausted_kinds == ("directory_pages",)
    assert [task.kind for task in state.tasks] == ["individual"]
    assert state.named == 4 * YIELD_WINDOW and state.tasks_done == 2 * YIELD_WINDOW


def test_a_new_company_in_time_keeps_a_kind_going() -> None:
    state = state_of(5)
    for ordinal in range(3 * YIELD_WINDOW):
        state.task_done(task(ordinal), SearchTaskOutcome(new=2 if ordinal % YIELD_WINDOW == 0 else 0))
    assert state.exhausted_kinds == ()
    assert all(len(latest) <= YIELD_WINDOW for latest in state.new_by_kind.values()), "what is carried over stays small"
