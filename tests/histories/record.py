"""Record what representative runs do, for the replay gate: ``python -m tests.histories.record`` (docs/upgrades.md).

The production workflows run on Temporal's own servers, with the activities of ``tests/workflows/world.py``. Each scenario
becomes a new generation of files ``SCENARIO.GENERATION.PART.json`` beside the older ones; which never change, since runs that
were started by older code may still be open.
"""

import argparse
import asyncio
import hashlib
import json
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHistory
from temporalio.common import RetryPolicy

from domain.activity_io import CompanyInput
from domain.company.status import ReasonCode
from domain.failures import HOST_BUSY, MODEL_BAD_REQUEST, MODEL_UNREACHABLE, RESCHEDULE, SEARCH_UNAVAILABLE
from domain.request.run_request import Limits, Windows
from tests.workflows.conftest import Server, StartRun, open_dev_server, open_skipping_server, starting
from tests.workflows.fake_run import NO, OK, SHORT, FakeRun, at
from tests.workflows.live_run import LiveRun, request_for
from workflows import activity_stubs
from workflows.company import CompanyWorkflow
from workflows.names import TASK_QUEUE
from workflows.policies import AGENT

DIRECTORY = Path(__file__).parent
SUMS = "SHA256SUMS"
"""Beside the files: what each was when it was recorded, as ``sha256sum`` writes it."""
# They name the machine, the process and the paths of who recorded; a replay does not read them.
_LEFT_OUT = frozenset({"identity", "stackTrace"})

Histories = dict[str, WorkflowHistory]
"""Histories of one scenario by part: ``run``, ``run-2`` (continued as new), ``company``."""


@dataclass(frozen=True)
class Scenario:
    """A course that a run can take; played on a server, it gives the histories to keep."""

    play: Callable[[Server, StartRun], Awaitable[Histories]]
    open_server: Callable[[], AbstractAsyncContextManager[Server]] = open_dev_server


async def decision(_: Server, start: StartRun) -> Histories:
    """A run asks, gets answers that are refused, one that amends it, and one that ends it."""
    run = await start(request_for(3), [OK, NO], [ReasonCode.UNITS_NOT_MET, SHORT])
    await run.question(1)
    await run.signal("nonsense")
    await run.until(lambda p: p.decision is not None and p.decision.problem is not None)
    await run.decide(1, "lower_units", units_min=20)
    await run.question(2)
    await run.decide(2, "accept_partial")
    await run.result()
    return await of_run(run)


async def cancelled(_: Server, start: StartRun) -> Histories:
    """Somebody cancels a run while a company is in research."""
    run = await start(request_for(2), [OK, OK], prepare=lambda s: s.hold("research_company", at(0, 1)))
    await run.stored.hold("research_company", at(0, 1)).reached.wait()
    await run.until(lambda p: p.companies_ready == 1)
    await run.handle.cancel()
    await _failed(run.handle.result())
    return await of_run(run) | {"company": await run.child(at(0, 1)).fetch_history()}


async def continued(_: Server, start: StartRun) -> Histories:
    """A long run continues as new."""
    windows = Windows(discovery=1, companies=2, history_events_max=40)
    run = await start(request_for(3, windows=windows), [NO, OK], [NO, OK], [OK])
    await run.result()
    return await of_run(run)


async def failures(_: Server, start: StartRun) -> Histories:
    """A search and a company fail for good, a dependency is down until a person says retry, a company is suppressed late."""

    def prepare(stored: FakeRun) -> None:
        stored.fail("discover", 0, MODEL_BAD_REQUEST)
        stored.fail("research_company", at(1, 0), MODEL_BAD_REQUEST)
        stored.fail_once("find_contacts", at(1, 1), MODEL_UNREACHABLE)
        stored.suppressed_late.add(at(1, 1))

    run = await start(request_for(2, companies=2), [OK], [OK, OK, OK, OK], prepare=prepare)
    await run.question(1)
    await run.decide(1, "retry")
    await run.result()
    return await of_run(run)


async def outage(_: Server, start: StartRun) -> Histories:
    """The web search is down for a while: the run asks, and goes on by itself."""

    def prepare(stored: FakeRun) -> None:
        stored.silence("discover", 0, SEARCH_UNAVAILABLE, checks=2)

    run = await start(request_for(2), [OK, OK, OK], prepare=prepare)
    await run.told("decision-1")
    await run.result()
    return await of_run(run)


async def handed_back(_: Server, start: StartRun) -> Histories:
    """Workers that stop hand back a search and a step of a company."""

    def prepare(stored: FakeRun) -> None:
        stored.fail_once("discover", 0, RESCHEDULE)
        stored.fail_once("research_company", at(0), RESCHEDULE)

    run = await start(request_for(1), [OK], prepare=prepare)
    await run.result()
    return await of_run(run) | {"company": await run.child(at(0)).fetch_history()}


async def worker_lost(_: Server, start: StartRun) -> Histories:
    """A step of a company outlives more workers than it has attempts."""
    soon = {**AGENT, "heartbeat_timeout": timedelta(milliseconds=200), "retry_policy": RetryPolicy(maximum_attempts=1)}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            activity_stubs, "AGENT", soon
        )  # time-outs may be changed freely: a replay does not look at them
        run = await start(request_for(1), [OK], prepare=lambda s: s.lose("research_company", at(0), 1))
        await run.result()
    return await of_run(run) | {"company": await run.child(at(0)).fetch_history()}


async def host_busy(_: Server, start: StartRun) -> Histories:
    """A company whose site is crowded by us for a while."""
    run = await start(request_for(1), [OK], prepare=lambda s: s.fail_once("qualify_company", at(0), HOST_BUSY))
    await run.result()
    return await of_run(run) | {"company": await run.child(at(0)).fetch_history()}


async def delivery_cancelled(_: Server, start: StartRun) -> Histories:
    """Somebody cancels a run while its files are rendered."""
    run = await start(request_for(1), [OK], prepare=lambda s: s.hold("export_run"))
    await run.stored.hold("export_run").reached.wait()
    await run.handle.cancel()
    run.stored.hold("export_run").release()
    await _failed(run.handle.result())
    return await of_run(run)


async def requeue_task(_: Server, start: StartRun) -> Histories:
    """A person says retry while a company is open: the search that had failed is taken up when nothing else is left."""

    def prepare(stored: FakeRun) -> None:
        stored.fail_once("discover", 0, MODEL_BAD_REQUEST)
        stored.fail_once("research_company", at(1, 0), MODEL_UNREACHABLE)
        stored.hold("research_company", at(1, 1))

    run = await start(request_for(3), [OK], [OK, OK], prepare=prepare)
    await run.question(1)
    await run.stored.hold("research_company", at(1, 1)).reached.wait()
    await run.decide(1, "retry")
    await run.until(lambda p: p.companies_ready == 2)
    run.stored.release_all()
    await run.result()
    return await of_run(run)


async def forgotten(_: Server, start: StartRun) -> Histories:
    """Somebody forgets a company between the last gate and the end."""
    run = await start(request_for(1, companies=1), [OK, OK], prepare=lambda s: s.hold("finish_run"))
    await run.stored.hold("finish_run").reached.wait()
    run.stored.forget(at(0, 0))
    run.stored.release_all()
    await run.result()
    return await of_run(run)


async def budget(_: Server, start: StartRun) -> Histories:
    """The money is gone while a company comes to its end; a person raises the limit."""

    def prepare(stored: FakeRun) -> None:
        stored.hold("select_contacts", at(0, 0))
        stored.hold("research_company", at(0, 1))

    run = await start(request_for(2, companies=2, limits=Limits(max_model_calls=3)), [OK, OK], prepare=prepare)
    await run.stored.hold("select_contacts", at(0, 0)).reached.wait()
    run.stored.hold("research_company", at(0, 1)).release()
    await run.until(lambda p: p.queued == 1)
    run.stored.release_all()
    await run.question(1)
    await run.decide(1, "raise_budget", max_model_calls=20)
    await run.result()
    return await of_run(run)


async def deadline(_: Server, start: StartRun) -> Histories:
    """Nobody answers: the deadline takes the default."""
    run = await start(request_for(2), [OK])
    await run.told("decision-1")
    await run.result()
    return await of_run(run)


async def company_complete(server: Server, _: StartRun) -> Histories:
    """A company that becomes complete."""
    return await of_company(server, FakeRun(request_for(1), [OK]))


async def company_short(server: Server, _: StartRun) -> Histories:
    """A company whose contacts are looked for twice."""
    return await of_company(server, FakeRun(request_for(1), [SHORT]))


async def company_failed(server: Server, _: StartRun) -> Histories:
    """A company of which a step fails for good."""
    stored = FakeRun(request_for(1), [OK])
    stored.fail("research_company", at(0), MODEL_BAD_REQUEST)
    return await of_company(server, stored)


SCENARIOS = {
    "decision": Scenario(decision),
    "cancelled": Scenario(cancelled),
    "continued": Scenario(continued),
    "failures": Scenario(failures),
    "handed_back": Scenario(handed_back),
    "worker_lost": Scenario(worker_lost),
    "delivery_cancelled": Scenario(delivery_cancelled),
    "put_back": Scenario(requeue_task),
    "forgotten": Scenario(forgotten),
    "budget": Scenario(budget),
    "host_busy": Scenario(host_busy, open_skipping_server),
    "outage": Scenario(outage, open_skipping_server),
    "deadline": Scenario(deadline, open_skipping_server),
    "company_complete": Scenario(company_complete),
    "company_short": Scenario(company_short),
    "company_failed": Scenario(company_failed),
}


async def of_run(run: LiveRun) -> Histories:
    """The histories of a run that has ended, one for each time it continued as new."""
    histories = await run.own_histories()
    return {"run" if number == 1 else f"run-{number}": history for number, history in enumerate(histories, 1)}


async def of_company(server: Server, stored: FakeRun) -> Histories:
    """The history of a run's first company."""
    stored.store(0, 0, stored.tasks[0][0])
    server.world.runs[stored.request.run_id] = stored
    handle = await server.client.start_workflow(
        CompanyWorkflow.run,
        CompanyInput(request=stored.request, company=stored.rows[at(0)].ref),
        id=f"company-{uuid4()}",
        task_queue=TASK_QUEUE,
    )
    await handle.result()
    return {"company": await handle.fetch_history()}


async def record(names: list[str], directory: Path) -> AsyncIterator[Path]:
    """Play scenarios and write their histories; yields each file as it is written."""
    for name in names:
        scenario = SCENARIOS[name]
        async with scenario.open_server() as server, starting(server) as start:
            histories = await scenario.play(server, start)
        for path in write(name, histories, directory):
            yield path


def write(name: str, histories: Histories, directory: Path) -> list[Path]:
    """Keep the histories of a scenario, as its next generation."""
    generation = next(n for n in count(1) if not list(directory.glob(f"{name}.{n}.*.json")))
    paths = [directory / f"{name}.{generation}.{part}.json" for part in histories]
    for path, history in zip(paths, histories.values(), strict=True):
        path.write_text(as_text(history), encoding="utf-8")
    with (directory / SUMS).open("a", encoding="utf-8") as sums:
        sums.writelines(sum_line(path) for path in paths)
    return paths


def sum_line(path: Path) -> str:
    """A file's line in ``SHA256SUMS``."""
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"


def as_text(history: WorkflowHistory) -> str:
    """A history as it is kept: one event a line."""
    kept = _kept(json.loads(history.to_json()))
    events = [json.dumps(event, separators=(",", ":")) for event in kept["events"]]
    return f'{{"workflowId":{json.dumps(history.workflow_id)},"events":[\n' + ",\n".join(events) + "\n]}\n"


@cache
def load(path: Path) -> WorkflowHistory:
    """A recorded history."""
    recorded = json.loads(path.read_text(encoding="utf-8"))
    return WorkflowHistory.from_json(recorded["workflowId"], {"events": recorded["events"]})


def _kept(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get("kind") == "TASK_QUEUE_KIND_STICKY":
            return value | {"name": "sticky"}  # a worker's own queue is named after its machine
        return {key: _kept(part) for key, part in value.items() if key not in _LEFT_OUT}
    return [_kept(part) for part in value] if isinstance(value, list) else value


async def _failed(result: Awaitable[object]) -> None:
    try:
        await result
    except WorkflowFailureError:
        return
    raise RuntimeError("the run was expected to fail and did not")


async def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.histories.record", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"all, or some of: {', '.join(SCENARIOS)}")
    names = parser.parse_args().scenarios or list(SCENARIOS)
    unknown = sorted(set(names) - set(SCENARIOS))
    if unknown:
        parser.error(f"no scenario {', '.join(unknown)}; there are: {', '.join(SCENARIOS)}")
    logging.disable(logging.CRITICAL)  # the failures are meant
    async for path in record(names, DIRECTORY):
        sys.stdout.write(f"{path.name}: {path.stat().st_size // 1000} kB\n")
    await asyncio.sleep(0.25)  # see runtime/process.py


if __name__ == "__main__":
    asyncio.run(_main())
