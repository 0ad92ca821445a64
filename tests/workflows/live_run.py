"""A started run: its workflow, what is stored of it, and its histories."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowHistory

from domain.company.pms_vendors import PmsVendor
from domain.request.criteria import Criteria
from domain.request.decision import DecisionRequest
from domain.request.progress import RunProgress
from domain.request.run_request import RunRequest, Windows
from tests.workflows.fake_run import FakeRun
from workflows.lead_list import LeadListWorkflow
from workflows.messages import LeadListResult
from workflows.names import SIGNAL_DECISION, UPDATE_DECISION

_PATIENCE_S = 40.0
_END_S = 60.0


def request_for(target: int = 2, *, discovery: int = 1, companies: int = 4, **changes: Any) -> RunRequest:
    """A request for Buildium companies in Texas with 50 units or more."""
    windows = changes.pop("windows", Windows(discovery=discovery, companies=companies))
    criteria = Criteria(states=("TX",), pms=(PmsVendor.BUILDIUM,), units_min=50)
    return RunRequest(run_id=uuid4(), criteria=criteria, target_quantity=target, windows=windows, **changes)


async def eventually(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"timed out waiting for: {what}"
        await asyncio.sleep(0.01)


@dataclass
class LiveRun:
    stored: FakeRun
    client: Client
    handle: WorkflowHandle[LeadListWorkflow, LeadListResult]

    async def progress(self) -> RunProgress:
        return await self.handle.query(LeadListWorkflow.progress)

    async def until(self, is_so: Callable[[RunProgress], bool], what: str = "progress") -> RunProgress:
        """Query the run until its progress is as wanted."""
        deadline = time.monotonic() + _PATIENCE_S
        while not is_so(progress := await self.progress()):
            assert time.monotonic() < deadline, f"timed out waiting for: {what}; the run says {progress!r}"
            await asyncio.sleep(0.06)
        return progress

    async def question(self, number: int = 1) -> DecisionRequest:
        wanted = f"decision-{number}"
        progress = await self.until(lambda p: p.decision is not None and p.decision.decision_id == wanted, wanted)
        assert progress.decision is not None
        return progress.decision

    async def notified(self, state_key: str) -> None:
        """Wait for a notification, without querying the run. A question is open by then."""
        await eventually(lambda: state_key in self.notifications(), f"notified of {state_key}")

    def notifications(self) -> list[str]:
        return [params.state_key for params in self.stored.inputs("notify_requester")]

    async def signal(self, *answer: Any) -> None:
        """Send an answer as the Web UI and the ``temporal`` command do."""
        await self.handle.signal(SIGNAL_DECISION, args=answer)

    async def decide(self, number: int, action: str, update_id: str | None = None, **options: Any) -> Any:
        """Send an answer as an update, which returns its receipt."""
        answer = {"decision_id": f"decision-{number}", "action": action, "decided_by": "tester", **options}
        return await self.handle.execute_update(UPDATE_DECISION, answer, id=update_id)

    async def result(self) -> LeadListResult:
        try:
            return await asyncio.wait_for(self.handle.result(), _END_S)
        except TimeoutError:
            events = [EventType.Name(event.event_type) for event in (await self.handle.fetch_history()).events]
            raise AssertionError(f"not ended in time: {events[-8:]}; the run says {await self.progress()!r}") from None

    def child(self, position: int) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(f"{self.handle.id}/company/{self.stored.rows[position].ref.company_id}")

    async def histories(self) -> AsyncIterator[WorkflowHistory]:
        """The histories of the run, its continuations and its companies."""
        run_id: str | None = self.handle.result_run_id or self.handle.first_execution_run_id
        while run_id:
            history = await self.client.get_workflow_handle(self.handle.id, run_id=run_id).fetch_history()
            yield history
            for event in history.events:
                child = event.child_workflow_execution_started_event_attributes.workflow_execution
                if event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
                    yield await self.client.get_workflow_handle(child.workflow_id, run_id=child.run_id).fetch_history()
            run_id = history.events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id

    async def own_histories(self) -> list[WorkflowHistory]:
        return [history async for history in self.histories() if history.workflow_id == self.handle.id]

    async def status(self) -> WorkflowExecutionStatus | None:
        return (await self.handle.describe()).status

    async def children_statuses(self) -> dict[int, WorkflowExecutionStatus | None]:
        """Temporal's status of each started company, by position."""
        started = {int(key) for key in self.stored.keys("qualify_company") if key is not None}
        return {position: (await self.child(position).describe()).status for position in sorted(started)}
