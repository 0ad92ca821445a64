"""The run's own state and the rules on it: what is complete, whether the target is filled, what may be started. Pure."""

import bisect
import heapq
from datetime import datetime

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

# Survival of companies, before it is measured: one in two (DESIGN, "Adaptive oversampling").
_PRIOR_COMPLETE, _PRIOR_SETTLED = 1, 2
# Companies in line at the most: 1,000 take 90 kB when a run continues as new, far below the 2 MB that a payload may have.
WAITING_MAX = 1_000


class RunState(BaseModel):
    """Everything a run carries over when it continues as new. Mutable; positions, never personal data.

    Attributes:
        companies_cursor: store sequence number up to which companies were read; ``unread_companies`` are stored behind it.
        tasks_cursor: ordinal of the last search task handed out.
        searches_put_back: a decision has put back searches, perhaps before ``tasks_cursor``, that were not handed out again yet.
            Until then no other search is started and the selection is not settled.
        waiting: companies to start (a heap by position).
        tasks: search tasks handed out and not started, in plan order.
        complete: positions of complete companies, sorted; ``contacts_of`` has the contacts of each.
        settled: companies that have ended, whatever the end.
        named: mentions of companies by all searches; the funnel begins with them.
        new_by_kind: new companies of the latest searches of each kind, the last one last.
        skipped: kinds of which searches were left in the store, in this run or in one of the same criteria before it.
        decisions: questions put so far; numbers them.
        resumed_at: when the run last went on by itself after an outage; ``recheck_s`` is how long it had waited at least.
        on_trial: since then no step has succeeded yet.
    """

    request: RunRequest
    companies_cursor: int = 0
    unread_companies: int = 0
    tasks_cursor: int = -1
    waiting: list[tuple[int, CompanyRef]] = []
    tasks: list[SearchTaskRef] = []
    tasks_left: bool = True
    tasks_requeued: bool = False
    complete: list[int] = []
    contacts_of: dict[int, int] = {}
    ended: int = 0
    funnel: dict[str, int] = {}
    spend: Spend = Spend()
    tasks_done: int = 0
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
        """Complete companies wanted."""
        return self.request.target_quantity

    @property
    def ready(self) -> int:
        """Complete companies that count."""
        return min(len(self.complete), self.target)

    @property
    def contacts_ready(self) -> int:
        """Contacts of the companies that count."""
        return sum(self.contacts_of[position] for position in self.complete[: self.target])

    @property
    def exhausted_kinds(self) -> tuple[TaskKind, ...]:
        """Kinds of search whose marginal yield is too low to go on with them."""
        return tuple(kind for kind, new in sorted(self.new_by_kind.items()) if is_exhausted(new))

    @property
    def skipped_before(self) -> tuple[TaskKind, ...]:
        """Kinds of which searches were left since an earlier run of the same criteria had found that they bring nothing."""
        return tuple(kind for kind in self.skipped if kind not in self.exhausted_kinds)

    def task_done(self, task: SearchTaskRef, outcome: SearchTaskOutcome) -> None:
        """Count a search; when its kind has dried up, what is in line of that kind is left."""
        self.tasks_done += 1
        self.named += outcome.named
        self.spend = self.spend.plus(outcome.spend)
        latest = [*self.new_by_kind.get(task.kind, []), outcome.new]
        self.new_by_kind[task.kind] = latest[-YIELD_WINDOW:]
        exhausted_kinds = self.exhausted_kinds
        self.tasks = [waiting for waiting in self.tasks if waiting.kind not in exhausted_kinds]

    def survival_rate(self) -> float:
        """Share of settled companies that are complete, as measured so far."""
        return (len(self.complete) + _PRIOR_COMPLETE) / (self.ended + _PRIOR_SETTLED)

    def needs_company(self, open_companies: int) -> bool:
        """Whether one more company has to be started: those complete and the survivors expected do not fill the target."""
        return len(self.complete) + self.survival_rate() * open_companies < self.target

    def needs_task(self, open_companies: int) -> bool:
        """Whether one more search has to be started: companies open and waiting are not expected to be enough, or one that
        was put back could still change who is selected."""
        frontier = self.frontier()
        if frontier is not None and self.tasks and self.tasks[0].ordinal * POSITIONS_PER_TASK < frontier:
            return True
        return self.needs_company(open_companies + len(self.waiting) + self.unread_companies)

    def frontier(self) -> int | None:
        """Position of the last company of the selection; None while the target is not reached."""
        return self.complete[self.target - 1] if len(self.complete) >= self.target else None

    def is_filled(self, open_positions: list[int], open_ordinals: list[int]) -> bool:
        """Whether the selection is settled: the target is reached and nothing earlier can still change who is selected.

        So which companies are delivered does not depend on which of them was quicker.
        """
        frontier = self.frontier()
        if frontier is None or self.tasks_requeued:
            return False
        earliest = min([*open_positions, *(position for position, _ in self.waiting)], default=frontier)
        ordinals = [*open_ordinals, *(task.ordinal for task in self.tasks)]
        return earliest >= frontier and all(o * POSITIONS_PER_TASK >= frontier for o in ordinals)

    def enqueue(self, ref: CompanyRef) -> None:
        """Put a company in line, earliest position first."""
        if all(position != ref.position for position, _ in self.waiting):
            heapq.heappush(self.waiting, (ref.position, ref))

    def requeue_task(self, task: SearchTaskRef) -> None:
        """Put a search task that did not come to its end back in line."""
        bisect.insort(self.tasks, task, key=lambda other: other.ordinal)

    def next_company(self, open_companies: int) -> CompanyRef | None:
        """The next company to start, or None when none is needed."""
        if not self.waiting:
            return None
        frontier = self.frontier()
        earlier = frontier is not None and self.waiting[0][0] < frontier
        if not earlier and not self.needs_company(open_companies):
            return None
        return heapq.heappop(self.waiting)[1]

    def company_ended(self, ref: CompanyRef, outcome: CompanyOutcome) -> None:
        """Count a company's end."""
        self.ended += 1
        reason = outcome.reason or outcome.status.value
        self.funnel[reason] = self.funnel.get(reason, 0) + 1
        self.spend = self.spend.plus(outcome.spend)
        if outcome.status is CompanyStatus.COMPLETE and ref.position not in self.contacts_of:
            bisect.insort(self.complete, ref.position)
            self.contacts_of[ref.position] = outcome.contacts

    def withdraw(self, ref: WithdrawnCompany) -> None:
        """A complete company that may not be delivered after all."""
        if ref.position in self.contacts_of:
            self.complete.remove(ref.position)
            del self.contacts_of[ref.position]
            self.funnel["complete"] = self.funnel.get("complete", 1) - 1
            self.funnel[ref.reason.value] = self.funnel.get(ref.reason.value, 0) + 1

    def reopen(self, reasons: set[str]) -> None:
        """Companies that ended for these reasons are found again and judged anew; they no longer count as settled."""
        for reason in reasons & set(self.funnel):
            self.ended -= self.funnel.pop(reason)
