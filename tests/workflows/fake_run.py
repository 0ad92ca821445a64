"""What is stored of one run, in memory, and what a test plans to happen to it.

It obeys the rules of the store: nothing is bought twice, while the run waits or above its limit, and a stored end stays
until a decision reopens it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid5

from temporalio import activity
from temporalio.exceptions import ApplicationError

from domain.activity_io import CompanyInput, CompanyOutcome, CompanyRef, Spend
from domain.company.status import CompanyStatus, Interruption, ReasonCode
from domain.request.decision import DecisionRequest
from domain.request.run_request import RunRequest
from domain.request.search_plan import TaskKind

POSITIONS_PER_TASK = 100_000
_STATUS_OF = {
    ReasonCode.COMPLETE: CompanyStatus.COMPLETE,
    ReasonCode.SUPPRESSED: CompanyStatus.SUPPRESSED,
    ReasonCode.DUPLICATE: CompanyStatus.DUPLICATE,
    ReasonCode.NO_RESEARCH: CompanyStatus.FAILED,
    ReasonCode.STEP_FAILED: CompanyStatus.FAILED,
}

_UNHEARD_OF_S = 2.0  # longer than the heartbeat time-out in tests of lost workers
_RETRY_DELAY = timedelta(milliseconds=20)  # instead of the policies' longer pauses

# How a company will end: a reason, or a rule on the amended request and the retry round.
Ending = ReasonCode | Callable[[RunRequest, int], ReasonCode]
OK = ReasonCode.COMPLETE
NO = ReasonCode.UNITS_NOT_MET
SHORT = ReasonCode.CONTACTS_SHORT


def at(task: int, place: int = 0) -> int:
    return task * POSITIONS_PER_TASK + place


def unless(is_let_in: Any, reason: ReasonCode) -> Ending:
    """A company that ends for a reason until the request lets it in."""

    def ending(request: RunRequest, retry_round: int) -> ReasonCode:
        return OK if is_let_in(request.criteria) else reason

    return ending


@dataclass
class Row:
    ref: CompanyRef
    ending: Ending
    seq: int
    status: CompanyStatus = CompanyStatus.FOUND
    reason: ReasonCode | None = None


@dataclass
class Hold:
    """An activity that waits until it is released, or cancelled unless it ignores that."""

    ignores_cancel: bool = False

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        self.released.set()


@dataclass
class Call:
    """A started activity: name, ordinal or position, input."""

    name: str
    key: int | None
    params: Any
    while_waiting: bool


class FakeRun:
    def __init__(self, request: RunRequest, *tasks: Sequence[Ending]) -> None:
        self.request = request
        self.tasks: list[Sequence[Ending]] = list(tasks)
        self.directories: set[int] = set()  # tasks that read directory pages
        self.skipped: tuple[TaskKind, ...] = ()
        self._losses: dict[tuple[str, int | None], int] = {}
        self.tasks_of_expansion: list[Sequence[Ending]] = []
        self.suppressed_late: set[int] = set()
        self.forgotten: set[int] = set()  # not yet named by a suppression check
        self.rows: dict[int, Row] = {}
        self.done_tasks: set[int] = set()
        self.failed_tasks: set[int] = set()
        self.question: DecisionRequest | None = None
        self.calls: list[Call] = []
        self.bought: list[tuple[str, int, int, int]] = []
        self._holds: dict[tuple[str, int | None], Hold] = {}
        self._failures: dict[tuple[str, int | None], str] = {}
        self._is_flickering = False
        self._checks_left: dict[tuple[str, int | None], int] = {}
        self._fails_once: set[tuple[str, int | None]] = set()
        self._seq = 0

    def hold(self, name: str, key: int | None = None) -> Hold:
        return self._holds.setdefault((name, key), Hold())

    async def reached(self, name: str, key: int | None = None) -> None:
        """Hold an activity and wait until it begins."""
        await self.hold(name, key).reached.wait()

    def release_all(self) -> None:
        for hold in self._holds.values():
            hold.release()

    def fail(self, name: str, key: int | None, failure_type: str) -> None:
        """Make an activity fail, without retries, until ``mend``."""
        self._failures[name, key] = failure_type

    def fail_once(self, name: str, key: int | None, failure_type: str) -> None:
        self._fails_once.add((name, key))
        self.fail(name, key, failure_type)

    def silence(self, name: str, key: int | None, failure_type: str, checks: int) -> None:
        """Make an activity fail on every attempt until the dependencies were checked this many times."""
        self.fail(name, key, failure_type)
        self._checks_left[name, key] = checks

    def flicker(self, name: str, failure_type: str, outages: int) -> None:
        """The same, but each check succeeds: this many outages in a row, each ended by its first check."""
        self.silence(name, None, failure_type, checks=outages)
        self._is_flickering = True

    def mend(self) -> None:
        self._failures.clear()
        self._checks_left.clear()

    def check(self) -> bool:
        """One check of the dependencies: whether all answer."""
        for planned in list(self._checks_left):
            self._checks_left[planned] -= 1
            if self._checks_left[planned] <= 0:
                del self._checks_left[planned], self._failures[planned]
        return not self._checks_left or self._is_flickering

    def inputs(self, name: str) -> list[Any]:
        return [call.params for call in self.calls if call.name == name]

    def keys(self, name: str) -> list[int | None]:
        return [call.key for call in self.calls if call.name == name]

    def statuses(self) -> dict[int, CompanyStatus]:
        return {position: row.status for position, row in sorted(self.rows.items())}

    def complete(self) -> list[int]:
        """Positions of the selected companies."""
        done = [position for position, status in self.statuses().items() if status is CompanyStatus.COMPLETE]
        return done[: self.request.target_quantity]

    def store(self, task: int, place: int, ending: Ending) -> None:
        position = at(task, place)
        if position not in self.rows:
            self._seq += 1
            ref = CompanyRef(company_id=uuid5(self.request.run_id, str(position)), position=position)
            self.rows[position] = Row(ref=ref, ending=ending, seq=self._seq)

    def reopen(self, reasons: Sequence[ReasonCode]) -> int:
        """Reopen companies that ended for one of the reasons, with new sequence numbers."""
        again = [row for row in self.rows.values() if row.reason in reasons]
        for row in again:
            self._seq += 1
            row.status, row.reason, row.seq = CompanyStatus.FOUND, None, self._seq
        return len(again)

    async def begin(self, name: str, key: int | None, params: Any) -> None:
        """Record that an activity started, and do what is planned for it."""
        self.calls.append(Call(name, key, params, while_waiting=self.question is not None))
        if self._losses.get((name, key), 0):
            self._losses[name, key] -= 1
            await asyncio.sleep(_UNHEARD_OF_S)
        await self.pass_hold(name, key)
        for planned in ((name, key), (name, None)):
            if planned in self._failures:
                failure_type = self._failures[planned]
                if planned in self._fails_once:
                    del self._failures[planned]
                is_final = planned not in self._checks_left
                raise ApplicationError(
                    f"{name} was planned to fail",
                    type=failure_type,
                    non_retryable=is_final,
                    next_retry_delay=None if is_final else _RETRY_DELAY,
                )

    def lose(self, name: str, key: int | None, times: int) -> None:
        """Let an activity's worker stop heartbeating, this many times."""
        self._losses[name, key] = times

    async def pass_hold(self, name: str, key: int | None) -> None:
        hold = self._holds.get((name, key))
        if hold is None:
            return
        hold.reached.set()
        while not hold.released.is_set():
            activity.heartbeat()
            try:
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                if not hold.ignores_cancel:
                    raise

    def buy(self, name: str, key: int, retry_round: int, attempt: int = 1) -> Interruption | None:
        """Buy one model call unless it is stored; returns why it may not be bought."""
        item = (name, key, retry_round, attempt)
        if item in self.bought:
            return None
        if self.question is not None:
            return Interruption.RUN_WAITING
        calls_max = self.request.limits.max_model_calls
        if calls_max is not None and len(self.bought) >= calls_max:
            return Interruption.BUDGET_REACHED
        self.bought.append(item)
        return None

    def end(self, position: int, reason: ReasonCode, contacts: int = 0, spend: Spend | None = None) -> CompanyOutcome:
        row = self.rows[position]
        row.status, row.reason = _STATUS_OF.get(reason, CompanyStatus.REJECTED), reason
        return CompanyOutcome(status=row.status, reason=reason, contacts=contacts, spend=spend or Spend())

    def forget(self, position: int) -> None:
        """Withdraw a complete company, as the command ``forget`` does."""
        self.end(position, ReasonCode.SUPPRESSED)
        self.forgotten.add(position)

    def ending_of(self, params: CompanyInput) -> ReasonCode:
        ending = self.rows[params.company.position].ending
        return ending if isinstance(ending, ReasonCode) else ending(params.request, params.retry_round)
