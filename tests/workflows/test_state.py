"""The run's own rules: when a company is started, when the target is filled, which companies are selected.

DESIGN, "Adaptive oversampling"; LESSONS F8, F9, F10, F11. The selection must not depend on which company was quicker.
"""

from dataclasses import dataclass, field
from random import Random
from uuid import UUID

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
from workflows.state import RunState

COMPLETE = CompanyOutcome(status=CompanyStatus.COMPLETE, reason=ReasonCode.COMPLETE, contacts=2)
REJECTED = CompanyOutcome(status=CompanyStatus.REJECTED, reason=ReasonCode.PMS_NOT_MET)


def state_of(target: int) -> RunState:
    return RunState(request=RunRequest(run_id=UUID(int=1), criteria=Criteria(), target_quantity=target))


def ref(position: int) -> CompanyRef:
    return CompanyRef(company_id=UUID(int=position + 1), position=position)


def task(ordinal: int) -> SearchTaskRef:
    return SearchTaskRef(task_id=UUID(int=ordinal + 1), ordinal=ordinal, label="query")


# Starting companies


def test_half_are_expected_to_survive_before_it_is_measured() -> None:
    state = state_of(3)
    assert state.survival_rate() == 0.5
    assert state.needs_company(5) and not state.needs_company(6)


def test_the_survival_rate_follows_what_is_measured() -> None:
    good, bad = state_of(5), state_of(5)
    for position in range(8):
        good.company_ended(ref(position), COMPLETE)
        bad.company_ended(ref(position), REJECTED)
    assert good.survival_rate() == 0.9 and bad.survival_rate() == 0.1


def test_f8_nothing_is_started_once_the_target_is_complete() -> None:
    state = state_of(2)
    for position in (0, 1):
        state.company_ended(ref(position), COMPLETE)
    state.enqueue(ref(7))
    assert not state.needs_company(0) and not state.needs_task(0)
    assert state.next_company(0) is None


def test_an_earlier_company_is_still_started_since_it_would_be_selected_first() -> None:
    state = state_of(1)
    state.company_ended(ref(5), COMPLETE)
    state.enqueue(ref(9))
    state.enqueue(ref(2))
    assert state.next_company(0) == ref(2)
    assert state.next_company(1) is None


def test_companies_wait_in_line_by_position_and_each_once() -> None:
    state = state_of(50)
    for position in (30, 10, 20, 10, 30, 10):
        state.enqueue(ref(position))
    order = [state.next_company(0) for _ in range(4)]
    assert order == [ref(10), ref(20), ref(30), None]


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), max_size=30))
def test_the_line_gives_back_every_company_once_in_order(positions: list[int]) -> None:
    state = state_of(10_000)
    for position in positions:
        state.enqueue(ref(position))
    given_out = []
    while (company := state.next_company(0)) is not None:
        given_out.append(company.position)
    assert given_out == sorted(set(positions))


def test_a_search_is_started_only_while_those_open_and_waiting_are_not_enough() -> None:
    state = state_of(3)
    for position in range(4):
        state.enqueue(ref(position))
    assert state.needs_task(1) and not state.needs_task(2)


def test_a_search_put_back_is_started_again_where_it_could_still_change_the_selection() -> None:
    state = state_of(1)
    state.company_ended(ref(POSITIONS_PER_TASK), COMPLETE)
    state.requeue_task(task(2))
    assert not state.needs_task(0)
    state.requeue_task(task(0))
    assert [waiting.ordinal for waiting in state.tasks] == [0, 2]
    assert state.needs_task(0) and not state.is_filled([], [])


# Counting


def test_f11_every_end_is_counted_under_its_reason() -> None:
    state = state_of(5)
    ends = [COMPLETE, REJECTED, REJECTED, CompanyOutcome(status=CompanyStatus.DUPLICATE)]
    for position, outcome in enumerate(ends):
        state.company_ended(ref(position), outcome)
    assert state.funnel == {"complete": 1, "pms_not_met": 2, "duplicate": 1}
    assert (state.ended, state.ready, state.contacts_ready) == (4, 1, 2)


def test_what_every_end_cost_is_added_up() -> None:
    state = state_of(5)
    for position in range(3):
        spend = Spend(cost_usd=0.25, model_calls=2)
        state.company_ended(ref(position), REJECTED.model_copy(update={"spend": spend}))
    assert state.spend == Spend(cost_usd=0.75, model_calls=6)


def test_no_more_than_the_target_counts_as_ready_with_the_contacts_of_the_selected() -> None:
    state = state_of(2)
    for position, contacts in ((30, 3), (10, 1), (20, 2)):
        state.company_ended(ref(position), COMPLETE.model_copy(update={"contacts": contacts}))
    assert (state.ready, state.contacts_ready, state.last_selected()) == (2, 3, 20)


def test_f10_a_company_taken_back_at_the_last_gate_opens_the_search_again() -> None:
    state = state_of(1)
    state.company_ended(ref(5), COMPLETE)
    assert state.is_filled([], [])
    state.withdraw(WithdrawnCompany(**ref(5).model_dump()))
    assert not state.is_filled([], []) and state.needs_company(0)
    assert (state.ready, state.contacts_ready, state.funnel["complete"], state.funnel["suppressed"]) == (0, 0, 0, 1)


def test_taking_back_what_was_not_complete_changes_nothing() -> None:
    state = state_of(1)
    state.company_ended(ref(5), REJECTED)
    before = state.model_copy(deep=True)
    state.withdraw(WithdrawnCompany(**ref(5).model_dump()))
    assert state == before


def test_a_company_taken_back_counts_under_its_own_reason_and_is_settled_once() -> None:
    state = state_of(1)
    state.company_ended(ref(5), COMPLETE)
    state.withdraw(WithdrawnCompany(**ref(5).model_dump(), reason=ReasonCode.CONTACTS_SHORT))
    assert state.funnel == {"complete": 0, "contacts_short": 1}
    state.reopen(["contacts_short"])
    assert (state.ended, state.funnel) == (0, {"complete": 0})


def test_reopened_companies_no_longer_count_as_settled() -> None:
    state = state_of(5)
    for position, outcome in enumerate([REJECTED, REJECTED, COMPLETE]):
        state.company_ended(ref(position), outcome)
    state.reopen(["pms_not_met", "units_not_met"])
    assert (state.ended, state.funnel) == (1, {"complete": 1})


# The selection


def test_the_target_is_not_filled_while_something_earlier_is_open() -> None:
    state = state_of(1)
    state.company_ended(ref(2 * POSITIONS_PER_TASK), COMPLETE)
    assert state.is_filled([2 * POSITIONS_PER_TASK + 1], [2, 3])
    assert not state.is_filled([7], [])
    assert not state.is_filled([], [1])
    state.enqueue(ref(7))
    assert not state.is_filled([], [])


def test_an_open_search_may_still_find_an_earlier_company_of_its_own_task() -> None:
    state = state_of(1)
    state.company_ended(ref(POSITIONS_PER_TASK + 3), COMPLETE)
    assert not state.is_filled([], [1])
    assert state.is_filled([], [2])


@dataclass
class World:
    """What searches would find (positions by ordinal) and how each company would end."""

    target: int
    tasks: list[list[bool]]
    window: int

    def best(self) -> list[int]:
        every = [
            ordinal * POSITIONS_PER_TASK + index
            for ordinal, companies in enumerate(self.tasks)
            for index, is_good in enumerate(companies)
            if is_good
        ]
        return every[: self.target]

    def is_good(self, position: int) -> bool:
        return self.tasks[position // POSITIONS_PER_TASK][position % POSITIONS_PER_TASK]


@dataclass
class Played:
    """A run played to its end with one order of completions."""

    selection: list[int]
    filled: bool
    started: int = 0
    needless: list[int] = field(default_factory=list)


def play(world: World, random: Random) -> Played:
    """Play a run as the workflow does: what comes home next is drawn; a step may also be interrupted and put back."""
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
        homecoming: list[CompanyRef | SearchTaskRef] = [*open_companies.values(), *open_tasks.values()]
        if not homecoming:
            break
        coming = random.choice(homecoming)
        interrupted = interruptions > 0 and random.random() < 0.2
        interruptions -= interrupted
        if isinstance(coming, CompanyRef):
            del open_companies[coming.position]
            if interrupted:
                state.enqueue(coming)
            else:
                state.company_ended(coming, COMPLETE if world.is_good(coming.position) else REJECTED)
        else:
            del open_tasks[coming.ordinal]
            if interrupted:
                state.requeue_task(coming)
            else:
                for index in range(len(world.tasks[coming.ordinal])):
                    state.enqueue(ref(coming.ordinal * POSITIONS_PER_TASK + index))
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
def test_f9_any_order_of_completion_selects_the_same_companies(world: World, random: Random) -> None:
    played = play(world, random)
    assert played.selection == world.best()
    assert played.filled == (len(world.best()) == world.target)


@given(WORLDS, st.randoms())
@settings(max_examples=100, deadline=None)
def test_no_company_is_started_beyond_those_expected_to_be_needed(world: World, random: Random) -> None:
    assert play(world, random).needless == []


@given(st.integers(1, 40), st.randoms())
@settings(max_examples=50, deadline=None)
def test_where_every_company_survives_at_most_twice_the_target_is_started(target: int, random: Random) -> None:
    played = play(World(target, [[True] * 100], window=100), random)
    interrupted_at_most = 5
    assert played.started <= 2 * target + interrupted_at_most


def test_the_state_survives_continuing_as_new() -> None:
    state = state_of(3)
    for position in (9, 3, 7, 1):
        state.enqueue(ref(position))
    state.company_ended(ref(20), COMPLETE)
    state.requeue_task(task(4))
    again = RunState.model_validate_json(state.model_dump_json())
    assert again == state
    assert [again.next_company(0), again.next_company(0)] == [ref(1), ref(3)]


# Searching


def search_of(kind: TaskKind, ordinal: int) -> SearchTaskRef:
    return SearchTaskRef(task_id=UUID(int=ordinal + 1), ordinal=ordinal, label="query", kind=kind)


def test_a_kind_of_search_that_has_dried_up_is_left_and_the_others_go_on() -> None:
    state = state_of(5)
    state.tasks = [search_of("directory_pages", 90), search_of("individual", 91)]
    for ordinal in range(YIELD_WINDOW):
        assert state.exhausted_kinds == ()
        state.task_done(search_of("directory_pages", ordinal), SearchTaskOutcome(named=2))
        state.task_done(search_of("individual", 50 + ordinal), SearchTaskOutcome(named=2, new=1))
    assert state.exhausted_kinds == ("directory_pages",)
    assert [task.kind for task in state.tasks] == ["individual"]
    assert state.named == 4 * YIELD_WINDOW and state.tasks_done == 2 * YIELD_WINDOW


def test_a_new_company_in_time_keeps_a_kind_going() -> None:
    state = state_of(5)
    for ordinal in range(3 * YIELD_WINDOW):
        state.task_done(
            search_of("individual", ordinal), SearchTaskOutcome(new=2 if ordinal % YIELD_WINDOW == 0 else 0)
        )
    assert state.exhausted_kinds == ()
    assert all(len(latest) <= YIELD_WINDOW for latest in state.new_by_kind.values()), "what is carried over stays small"
