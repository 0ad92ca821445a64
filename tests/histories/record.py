"""Record what representative runs do: ``python -m tests.histories.record [SCENARIO …]``.

The production workflows run on Temporal's own servers with the activities of ``tests/workflows/world.py``. Each scenario
becomes files ``SCENARIO.NUMBER.json``: the run, its continuations, and one of its companies. Recording overwrites them.
"""

import argparse
import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHistory
from temporalio.common import RetryPolicy

from domain.company.status import ReasonCode
from domain.failures import HOST_BUSY, MODEL_BAD_REQUEST, MODEL_UNREACHABLE, RESCHEDULE, SEARCH_UNAVAILABLE
from domain.request.run_request import Limits, Windows
from tests.workflows.conftest import StartRun, open_dev_server, open_skipping_server, starting
from tests.workflows.fake_run import NO, OK, SHORT, FakeRun, at
from tests.workflows.live_run import LiveRun, request_for
from workflows.policies import AGENT

DIRECTORY = Path(__file__).parent
# These name the machine, process and paths of the recording. A replay does not read them.
_LEFT_OUT = frozenset({"identity", "stackTrace"})


async def delivered(start: StartRun) -> list[WorkflowHistory]:
    """A run fills its target and delivers."""
    run = await start(request_for(2), [NO, OK, OK])
    await run.result()
    return await histories(run, at(0, 1))


async def decision(start: StartRun) -> list[WorkflowHistory]:
    """A run asks; answers are refused, one amends it, and one ends it."""
    run = await start(request_for(3), [OK, NO], [ReasonCode.UNITS_NOT_MET, SHORT])
    await run.question(1)
    await run.signal("nonsense")
    await run.until(lambda p: p.decision is not None and p.decision.problem is not None)
    await run.decide(1, "lower_units", units_min=20)
    await run.question(2)
    await run.decide(2, "accept_partial")
    await run.result()
    return await histories(run, at(1, 1))


async def cancelled(start: StartRun) -> list[WorkflowHistory]:
    """A person cancels a run while a company is in research."""
    run = await start(request_for(2), [OK, OK], prepare=lambda s: s.hold("research_company", at(0, 1)))
    await run.stored.reached("research_company", at(0, 1))
    await run.until(lambda p: p.companies_ready == 1)
    await run.handle.cancel()
    await _failed(run.handle.result())
    return await histories(run, at(0, 1))


async def continued(start: StartRun) -> list[WorkflowHistory]:
    """A long run continues as new."""
    windows = Windows(discovery=1, companies=2, history_events_max=40)
    run = await start(request_for(3, windows=windows), [NO, OK], [NO, OK], [OK])
    await run.result()
    return await histories(run)


async def failures(start: StartRun) -> list[WorkflowHistory]:
    """A search and a company fail, a dependency is down until a person retries, a company is suppressed late."""

    def prepare(stored: FakeRun) -> None:
        stored.fail("discover", 0, MODEL_BAD_REQUEST)
        stored.fail("research_company", at(1, 0), MODEL_BAD_REQUEST)
        stored.fail_once("find_contacts", at(1, 1), MODEL_UNREACHABLE)
        stored.suppressed_late.add(at(1, 1))

    run = await start(request_for(2, companies=2), [OK], [OK, OK, OK, OK], prepare=prepare)
    await run.question(1)
    await run.decide(1, "retry")
    await run.result()
    return await histories(run, at(1, 0))


async def outage(start: StartRun) -> list[WorkflowHistory]:
    """The web search is down for a while. The run asks, then goes on by itself."""

    def prepare(stored: FakeRun) -> None:
        stored.silence("discover", 0, SEARCH_UNAVAILABLE, checks=2)

    run = await start(request_for(2), [OK, OK, OK], prepare=prepare)
    await run.notified("decision-1")
    await run.result()
    return await histories(run)


async def rescheduled(start: StartRun) -> list[WorkflowHistory]:
    """Stopping workers reschedule a search and an activity of a company."""

    def prepare(stored: FakeRun) -> None:
        stored.fail_once("discover", 0, RESCHEDULE)
        stored.fail_once("research_company", at(0), RESCHEDULE)

    run = await start(request_for(1), [OK], prepare=prepare)
    await run.result()
    return await histories(run, at(0))


async def worker_lost(start: StartRun) -> list[WorkflowHistory]:
    """An activity survives more lost workers than it has attempts."""
    with pytest.MonkeyPatch.context() as patch:  # a replay does not compare time-outs
        patch.setitem(AGENT, "heartbeat_timeout", timedelta(milliseconds=200))
        patch.setitem(AGENT, "retry_policy", RetryPolicy(maximum_attempts=1))
        run = await start(request_for(1), [OK], prepare=lambda s: s.lose("research_company", at(0), 1))
        await run.result()
    return await histories(run, at(0))


async def host_busy(start: StartRun) -> list[WorkflowHistory]:
    """A company whose site is busy with our requests for a while."""
    run = await start(request_for(1), [OK], prepare=lambda s: s.fail_once("qualify_company", at(0), HOST_BUSY))
    await run.result()
    return await histories(run, at(0))


async def delivery_cancelled(start: StartRun) -> list[WorkflowHistory]:
    """A person cancels a run while its files are rendered."""
    run = await start(request_for(1), [OK], prepare=lambda s: s.hold("export_run"))
    await run.stored.reached("export_run")
    await run.handle.cancel()
    run.stored.hold("export_run").release()
    await _failed(run.handle.result())
    return await histories(run)


async def requeued(start: StartRun) -> list[WorkflowHistory]:
    """A person retries while a company is open. The failed search runs again when nothing else is left."""

    def prepare(stored: FakeRun) -> None:
        stored.fail_once("discover", 0, MODEL_BAD_REQUEST)
        stored.fail_once("research_company", at(1, 0), MODEL_UNREACHABLE)
        stored.hold("research_company", at(1, 1))

    run = await start(request_for(3), [OK], [OK, OK], prepare=prepare)
    await run.question(1)
    await run.stored.reached("research_company", at(1, 1))
    await run.decide(1, "retry")
    await run.until(lambda p: p.companies_ready == 2)
    run.stored.release_all()
    await run.result()
    return await histories(run)


async def withdrawn(start: StartRun) -> list[WorkflowHistory]:
    """A company is forgotten between the last suppression check and the end."""
    run = await start(request_for(1, companies=1), [OK, OK], prepare=lambda s: s.hold("finish_run"))
    await run.stored.reached("finish_run")
    run.stored.forget(at(0, 0))
    run.stored.release_all()
    await run.result()
    return await histories(run)


async def budget(start: StartRun) -> list[WorkflowHistory]:
    """The budget is reached while a company finishes; a person raises the limit."""

    def prepare(stored: FakeRun) -> None:
        stored.hold("select_contacts", at(0, 0))
        stored.hold("research_company", at(0, 1))

    run = await start(request_for(2, companies=2, limits=Limits(max_model_calls=3)), [OK, OK], prepare=prepare)
    await run.stored.reached("select_contacts", at(0, 0))
    run.stored.hold("research_company", at(0, 1)).release()
    await run.until(lambda p: p.queued == 1)
    run.stored.release_all()
    await run.question(1)
    await run.decide(1, "raise_budget", max_model_calls=20)
    await run.result()
    return await histories(run)


async def deadline(start: StartRun) -> list[WorkflowHistory]:
    """Nobody answers: the deadline takes the default."""
    run = await start(request_for(2), [OK])
    await run.notified("decision-1")
    await run.result()
    return await histories(run)


async def histories(run: LiveRun, *companies: int) -> list[WorkflowHistory]:
    """The histories of an ended run, its continuations and some of its companies."""
    return [*await run.own_histories(), *[await run.child(position).fetch_history() for position in companies]]


async def _failed(result: Awaitable[object]) -> None:
    with pytest.raises(WorkflowFailureError):
        await result


SCENARIOS: dict[str, Callable[[StartRun], Awaitable[list[WorkflowHistory]]]] = {
    play.__name__: play
    for play in (
        delivered,
        decision,
        cancelled,
        continued,
        failures,
        rescheduled,
        worker_lost,
        delivery_cancelled,
        requeued,
        withdrawn,
        budget,
        host_busy,
        outage,
        deadline,
    )
}
_SKIP_TIME = frozenset({"host_busy", "outage", "deadline"})


async def record(name: str) -> None:
    """Play a scenario and replace its files."""
    async with open_skipping_server() if name in _SKIP_TIME else open_dev_server() as server, starting(server) as start:
        played = await SCENARIOS[name](start)
    for path in DIRECTORY.glob(f"{name}.*.json"):
        path.unlink()
    for number, history in enumerate(played, start=1):
        (DIRECTORY / f"{name}.{number}.json").write_text(_as_text(history), encoding="utf-8")


def _as_text(history: WorkflowHistory) -> str:
    """A history with one event a line."""
    events = [json.dumps(event, separators=(",", ":")) for event in _kept(json.loads(history.to_json()))["events"]]
    return f'{{"workflowId":{json.dumps(history.workflow_id)},"events":[\n' + ",\n".join(events) + "\n]}\n"


def _kept(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get("kind") == "TASK_QUEUE_KIND_STICKY":
            return value | {"name": "sticky"}  # a worker's own queue is named after its machine
        return {key: _kept(part) for key, part in value.items() if key not in _LEFT_OUT}
    return [_kept(part) for part in value] if isinstance(value, list) else value


async def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.histories.record", description=__doc__)
    parser.add_argument("scenarios", nargs="*", choices=[*SCENARIOS, []], metavar="SCENARIO", help=", ".join(SCENARIOS))
    logging.disable(logging.CRITICAL)  # the failures are meant
    for name in parser.parse_args().scenarios or SCENARIOS:
        await record(name)
    await asyncio.sleep(0.25)  # see runtime/process.py


if __name__ == "__main__":
    asyncio.run(_main())
