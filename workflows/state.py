"""The state of a run, and the rules for what may start and when the target is filled. Pure."""

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

# Prior of the survival rate: one company in two.
_PRIOR_COMPLETE, _PRIOR_ENDED = 1, 2
# 1,000 queued companies take 90 kB when a run continues as new. The payload limit is 2 MB.
QUEUE_MAX = 1_000


class RunState(BaseModel):
    """The state that a run carries over when it continues as new. It contains no personal data.

    Attributes:
        companies_cursor: sequence number of the last loaded company.
        unloaded_companies: number of companies stored after ``companies_cursor``.
        queue: companies to start, as a heap by position.
        tasks_cursor: ordinal of the last search task started.
        tasks: loaded search tasks that have not started, in plan order.
        has_more_tasks: whether the store may have more search tasks.
        tasks_requeued: whether a decision requeued search tasks that are not loaded yet. Until they are, no search starts and
            the target does not count as filled.
        complete: sorted positions of complete companies.
        contacts_of: number of contacts by position of a complete company.
        ended: number of companies that have ended, complete or not.
        named: number of companies that all searches named, duplicates included.
        new_by_kind: number of new companies in each of the latest searches, by kind of search.
        skipped: kinds of search that were skipped, in this run or a recent identical one.
        decisions: number of questions asked.
        resumed_at: when the run last resumed after an outage.
        recheck_s: seconds that it waited before the first check of that outage.
        probing: whether nothing has succeeded since ``resumed_at``. Only one search and one company may then be open.
        suppression_checks: number of final suppression checks that returned.
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
        """Number of complete companies, at most the target."""
        return min(len(self.complete), self.target)

    @property
    def contacts_ready(self) -> int:
        return sum(self.contacts_of[position] for position in self.complete[: self.target])

    @property
    def exhausted_kinds(self) -> tuple[TaskKind, ...]:
        return tuple(kind for kind, new in sorted(self.new_by_kind.items()) if is_exhausted(new))

    @property
    def skipped_before(self) -> tuple[TaskKind, ...]:
        """Kinds skipped because a recent identical run exhausted them."""
        return tuple(kind for kind in self.skipped if kind not in self.exhausted_kinds)

    # What may start

    def survival_rate(self) -> float:
        """Share of ended companies that are complete, with a prior of one in two."""
        return (len(self.complete) + _PRIOR_COMPLETE) / (self.ended + _PRIOR_ENDED)

    def needs_company(self, open_companies: int) -> bool:
        """Whether the complete companies and the expected survivors of the open ones fall short of the target."""
        return len(self.complete) + self.survival_rate() * open_companies < self.target

    def needs_task(self, open_companies: int) -> bool:
        """Whether to start a search: the known companies may fall short, or the search may change the selection."""
        last = self.last_selected()
        if last is not None and self.tasks and self.tasks[0].ordinal * POSITIONS_PER_TASK < last:
            return True
        return self.needs_company(open_companies + len(self.queue) + self.unloaded_companies)

    def next_company(self, open_companies: int) -> CompanyRef | None:
        """Remove the next company from the queue and return it. Return None if no company is needed."""
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
        """Position of the last selected company, or None below the target."""
        return self.complete[self.target - 1] if len(self.complete) >= self.target else None

    def is_filled(self, open_positions: Iterable[int], open_ordinals: Iterable[int]) -> bool:
        """Whether the target is reached and no open or queued work precedes the last selected company.

        This makes the selection independent of which companies finish first.
        """
        last = self.last_selected()
        if last is None or self.tasks_requeued:
            return False
        earliest = min([*open_positions, *(position for position, _ in self.queue)], default=last)
        ordinals = [*open_ordinals, *(task.ordinal for task in self.tasks)]
        return earliest >= last and all(ordinal * POSITIONS_PER_TASK >= last for ordinal in ordinals)

    # What has ended

    def task_done(self, task: SearchTaskRef, outcome: SearchTaskOutcome) -> None:
        """Record a finished search. If its kind is exhausted, drop the loaded searches of that kind."""
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
        if ref.position in self.contacts_of:
            self.complete.remove(ref.position)
            del self.contacts_of[ref.position]
            self.funnel["complete"] = self.funnel.get("complete", 1) - 1
            self.funnel[ref.reason.value] = self.funnel.get(ref.reason.value, 0) + 1

    def reopen(self, reasons: list[str]) -> None:
        """Stop counting companies that ended for these reasons: they are loaded and judged again."""
        for reason in reasons:
            self.ended -= self.funnel.pop(reason, 0)

    # Stages

    def stage_time(self, now: datetime) -> timedelta:
        """Time spent in the current stage, over all visits."""
        spent = timedelta(seconds=self.stage_spent_s.get(self.stage, 0.0))
        return spent + (now - (self.stage_entered_at or now))

    def enter_stage(self, stage: Stage, now: datetime) -> None:
        self.stage_spent_s[self.stage] = self.stage_time(now).total_seconds()
        self.stage, self.stage_entered_at = stage, now

    def restart_stage(self, now: datetime) -> None:
        """Reset the time of every stage, so that time spent waiting for a person or dependency does not count."""
        self.stage_entered_at, self.stage_spent_s = now, {}
