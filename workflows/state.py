"""A run's state and the rules on it: what is complete, whether the target is filled, what may start. Pure."""

import bisect
import heapq
from collections.abc import Iterable
from datetime import datetime, timedelta

from pydantic import BaseModel

from domain.activity_io import (
    POSITIONS_PER_TASK,
    CompanyOutcome,
    CompanyRef,
    SearchTaskOutcome,
    SearchTaskRef,
    Spend,
    WithdrawnCompany,
)
from domain.company.status import CompanyStatus
from domain.request.progress import RunStatus, Stage
from domain.request.run_request import RunRequest
from domain.request.search_plan import YIELD_WINDOW, TaskKind, is_exhausted

# Before the survival rate is measured, one company in two is expected to become complete.
_PRIOR_COMPLETE, _PRIOR_ENDED = 1, 2
# Queued companies at most: 1,000 take 90 kB when a run continues as new, far below the payload limit of 2 MB.
QUEUE_MAX = 1_000


class RunState(BaseModel):
    """Everything a run keeps when it continues as new. Positions instead of personal data.

    Attributes:
        companies_cursor: sequence number of the last loaded company; ``unloaded_companies`` are stored after it.
        queue: companies to start, a heap by position.
        tasks_cursor: ordinal of the last search task started.
        tasks: loaded search tasks that have not started, in plan order; ``has_more_tasks`` if the store may hold others.
        tasks_requeued: a decision requeued searches, maybe before ``tasks_cursor``, and they are not loaded yet.
            Until then no other search starts and the target is not filled.
        complete: sorted positions of complete companies; ``contacts_of`` has the number of contacts of each.
        ended: companies that have ended, for any reason.
        named: mentions of companies by all searches; the funnel starts with them.
        new_by_kind: number of new companies of the latest searches of each kind.
        skipped: kinds whose searches were skipped, in this run or a recent identical one.
        decisions: number of questions asked.
        resumed_at: when the run last went on after an outage, having waited at least ``recheck_s``.
        probing: since then nothing has succeeded, so only one search and one company may be open.
        suppression_checks: last suppression checks that returned.
    """

    request: RunRequest
    companies_cursor: int = 0
    unloaded_companies: int = 0
    queue: list[tuple[int, CompanyRef]] = []
    tasks_cursor: int = -1
    tasks: list[SearchTaskRef] = []
    has_more_tasks: bool = True
    tasks_requeued: bool = False
    tasks_done: int = 0
    complete: list[int] = []
    contacts_of: dict[int, int] = {}
    ended: int = 0
    funnel: dict[str, int] = {}
    spend: Spend = Spend()
    named: int = 0
    new_by_kind: dict[TaskKind, list[int]] = {}
    skipped: tuple[TaskKind, ...] = ()
    decisions: int = 0
    retry_round: int = 0
    stage: Stage = Stage.COMPANY_DISCOVERY
    status: RunStatus = RunStatus.ACTIVE
    stage_entered_at: datetime | None = None
    stage_spent_s: dict[Stage, float] = {}
    note: str = ""
    resumed_at: datetime | None = None
    recheck_s: float = 0.0
    probing: bool = False
    suppression_checks: int = 0

    @property
    def target(self) -> int:
        return self.request.target_quantity

    @property
    def ready(self) -> int:
        """Complete companies, at most the target."""
        return min(len(self.complete), self.target)

    @property
    def contacts_ready(self) -> int:
        """Contacts of the selected companies."""
        return sum(self.contacts_of[position] for position in self.complete[: self.target])

    @property
    def exhausted_kinds(self) -> tuple[TaskKind, ...]:
        return tuple(kind for kind, new in sorted(self.new_by_kind.items()) if is_exhausted(new))

    @property
    def skipped_before(self) -> tuple[TaskKind, ...]:
        """Kinds skipped because a recent identical run had exhausted them."""
        return tuple(kind for kind in self.skipped if kind not in self.exhausted_kinds)

    # What may start

    def survival_rate(self) -> float:
        """Share of ended companies that are complete."""
        return (len(self.complete) + _PRIOR_COMPLETE) / (self.ended + _PRIOR_ENDED)

    def needs_company(self, open_companies: int) -> bool:
        """Whether complete companies and the expected survivors of the open ones do not fill the target."""
        return len(self.complete) + self.survival_rate() * open_companies < self.target

    def needs_task(self, open_companies: int) -> bool:
        """Whether to start a search: known companies are not expected to be enough, or it may change the selection."""
        last = self.last_selected()
        if last is not None and self.tasks and self.tasks[0].ordinal * POSITIONS_PER_TASK < last:
            return True
        return self.needs_company(open_companies + len(self.queue) + self.unloaded_companies)

    def next_company(self, open_companies: int) -> CompanyRef | None:
        """Take the next company to start out of the queue; None if none is needed."""
        if not self.queue:
            return None
        last = self.last_selected()
        may_be_selected = last is not None and self.queue[0][0] < last
        if not may_be_selected and not self.needs_company(open_companies):
            return None
        return heapq.heappop(self.queue)[1]

    def enqueue(self, ref: CompanyRef) -> None:
        if all(position != ref.position for position, _ in self.queue):
            heapq.heappush(self.queue, (ref.position, ref))

    def requeue_task(self, task: SearchTaskRef) -> None:
        bisect.insort(self.tasks, task, key=lambda other: other.ordinal)

    # The selection

    def last_selected(self) -> int | None:
        """Position of the last company of the selection; None while the target is not reached."""
        return self.complete[self.target - 1] if len(self.complete) >= self.target else None

    def is_filled(self, open_positions: Iterable[int], open_ordinals: Iterable[int]) -> bool:
        """Whether the target is reached and no earlier company can still change the selection.

        So the selection does not depend on which companies were faster.
        """
        last = self.last_selected()
        if last is None or self.tasks_requeued:
            return False
        earliest = min([*open_positions, *(position for position, _ in self.queue)], default=last)
        ordinals = [*open_ordinals, *(task.ordinal for task in self.tasks)]
        return earliest >= last and all(ordinal * POSITIONS_PER_TASK >= last for ordinal in ordinals)

    # What has ended

    def task_done(self, task: SearchTaskRef, outcome: SearchTaskOutcome) -> None:
        """Count a search. If it exhausts its kind, loaded searches of that kind are dropped."""
        self.tasks_done += 1
        self.named += outcome.named
        self.spend = self.spend.plus(outcome.spend)
        latest = [*self.new_by_kind.get(task.kind, []), outcome.new]
        self.new_by_kind[task.kind] = latest[-YIELD_WINDOW:]
        exhausted = self.exhausted_kinds
        self.tasks = [other for other in self.tasks if other.kind not in exhausted]

    def company_ended(self, ref: CompanyRef, outcome: CompanyOutcome) -> None:
        self.ended += 1
        reason = outcome.reason or outcome.status.value
        self.funnel[reason] = self.funnel.get(reason, 0) + 1
        self.spend = self.spend.plus(outcome.spend)
        if outcome.status is CompanyStatus.COMPLETE and ref.position not in self.contacts_of:
            bisect.insort(self.complete, ref.position)
            self.contacts_of[ref.position] = outcome.contacts

    def withdraw(self, ref: WithdrawnCompany) -> None:
        """Take a complete company out again."""
        if ref.position in self.contacts_of:
            self.complete.remove(ref.position)
            del self.contacts_of[ref.position]
            self.funnel["complete"] = self.funnel.get("complete", 1) - 1
            self.funnel[ref.reason.value] = self.funnel.get(ref.reason.value, 0) + 1

    def reopen(self, reasons: list[str]) -> None:
        """Companies that ended for these reasons are loaded and judged again, so they no longer count as ended."""
        for reason in reasons:
            self.ended -= self.funnel.pop(reason, 0)

    # Stages

    def stage_time(self, now: datetime) -> timedelta:
        """Time spent in the present stage, over all visits."""
        spent = timedelta(seconds=self.stage_spent_s.get(self.stage, 0.0))
        return spent + (now - (self.stage_entered_at or now))

    def enter_stage(self, stage: Stage, now: datetime) -> None:
        self.stage_spent_s[self.stage] = self.stage_time(now).total_seconds()
        self.stage, self.stage_entered_at = stage, now

    def restart_stage(self, now: datetime) -> None:
        """Give every stage its full time again: waiting for a person or a dependency does not count."""
        self.stage_entered_at, self.stage_spent_s = now, {}
