"""A worker that dies in the middle loses nothing that was paid for: another one goes on where it stopped."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

from temporalio.api.enums.v1 import EventType

from runtime.connection import connect
from tests.e2e.model_servers import model_server, scripted
from tests.e2e.stacks import running_worker
from tests.e2e.terminal import Terminal, finished, read_rows, wait_until

WINDOW = {"DISCOVERY_WINDOW": "1", "COMPANY_WINDOW": "3"}


def test_f24_a_run_outlives_its_killed_worker_and_buys_no_turn_twice(idle_stack: Terminal, tmp_path: Path) -> None:
    addresses = idle_stack.addresses()
    with model_server(scripted, pause_after=12) as model:
        setting = {"OPENAI_BASE_URL": model.url, "OPENAI_MODEL": "counted", "WORKER_DRAIN_S": "5"}
        with running_worker(addresses, tmp_path, **setting) as worker:
            run = idle_stack.with_variables(**WINDOW).start({"pms": "Buildium", "state": "AZ"}, 6, waits=False)
            # All that is open waits for the model, so the dead worker is noticed by its heartbeat.
            wait_until(lambda: model.paused.is_set() and model.unanswered >= 3, "the run is in mid-work")
            stored_before = stored_turns(idle_stack, run["run_id"])
            in_flight = model.unanswered
            worker.send_signal(signal.SIGKILL)
            assert worker.wait(10) == -signal.SIGKILL
        assert stored_before, "turns were paid for before the kill"
        model.go_on()
        with running_worker(addresses, tmp_path, **setting):
            done = finished(
                idle_stack.begin("watch", run["run_id"], "--output-dir", str(tmp_path), "--json")
            ).document()

    assert done["status"] == "completed"
    companies, contacts = read_rows(done["companies_csv"]), read_rows(done["contacts_csv"])
    assert len(companies) == 6
    assert max(Counter(row["domain"] for row in companies).values()) == 1, "no company twice"
    people = Counter((row["company_domain"], row["full_name"]) for row in contacts)
    assert max(people.values()) == 1, "no contact twice"
    stored_after = stored_turns(idle_stack, run["run_id"])
    assert stored_before.items() <= stored_after.items(), "what was stored stands as it was"
    # What the run no longer needed when it was filled is cancelled, perhaps in the middle of a call.
    cut_at_the_end = len(
        idle_stack.rows("SELECT 1 FROM agent_turns WHERE run_id = %s AND input_hash ~ ' ended '", run["run_id"])
    )
    again = len(model.asked) - len(stored_after) - cut_at_the_end
    assert again <= in_flight, "asked again: only what the dead worker was waiting for"


def test_f30_a_draining_worker_keeps_the_answers_it_waits_for_and_takes_nothing_new(
    idle_stack: Terminal, tmp_path: Path
) -> None:
    """What is held longer than a drain may last is handed back: ``tests/workflows/test_drain.py``."""
    addresses = idle_stack.addresses()
    other = tmp_path / "other"
    other.mkdir()
    with model_server(scripted, pause_after=6) as model:
        setting = {"OPENAI_BASE_URL": model.url, "OPENAI_MODEL": "counted", "WORKER_DRAIN_S": "40"}
        setting |= {"KNOWN_COMPANY_DAYS": "0", "KNOWN_CONTACTS_DAYS": "0", "SEARCH_TTL_HOURS": "0"}
        with running_worker(addresses, tmp_path, **setting) as drained:
            run = idle_stack.with_variables(**WINDOW).start({"pms": "Buildium", "state": "AZ"}, 2, waits=False)
            wait_until(lambda: model.paused.is_set() and model.unanswered >= 1, "the worker waits for an answer")
            drained.send_signal(signal.SIGTERM)
            log = tmp_path / "worker.log"
            wait_until(lambda: "worker_draining" in log.read_text(encoding="utf-8"), "the worker drains")
            second = idle_stack.start({"pms": "Buildium", "state": "NV"}, 1, waits=False)
            time.sleep(1)  # in which a worker that still asked for work would have begun it
            model.go_on()
            assert drained.wait(30) == 0, "drained, long before its time is over"
        assert len(model.asked) == len(stored_turns(idle_stack, run["run_id"])), "each answer is kept"
        assert asyncio.run(workflow_tasks_started(addresses.temporal_address, second["workflow_id"])) == 0
        with running_worker(addresses, other, **setting):
            done = finished(
                idle_stack.begin("watch", run["run_id"], "--output-dir", str(tmp_path), "--json")
            ).document()
            idle_stack.run("cancel", second["run_id"])
    assert done["status"] == "completed"
    attempts, timed_out = asyncio.run(started_and_timed_out(addresses.temporal_address, run["workflow_id"]))
    assert max(attempts) == 1, "no attempt was counted for the drain"
    assert timed_out == 0, "no heartbeat was waited for"


def test_f30_a_search_that_outlasts_the_drain_is_asked_once_and_kept_for_the_next_worker(
    idle_stack: Terminal, tmp_path: Path
) -> None:
    addresses = idle_stack.addresses()
    other = tmp_path / "other"
    other.mkdir()
    with held_search(addresses.environment()["SEARXNG_URL"]) as search:
        setting = {"SEARXNG_URL": search.url, "WORKER_DRAIN_S": "1"}
        with running_worker(addresses, tmp_path, **setting) as drained:
            run = idle_stack.with_variables(**WINDOW).start({"pms": "Buildium", "state": "OH"}, 1, waits=False)
            wait_until(lambda: bool(search.asked), "the worker waits for a search")
            drained.send_signal(signal.SIGTERM)
            log = tmp_path / "worker.log"
            wait_until(lambda: "activity_rescheduled" in log.read_text(encoding="utf-8"), "its time to drain is over")
            search.may_answer.set()
            assert drained.wait(15) == 0
        asked_by_first = set(search.asked)
        with running_worker(addresses, other, **setting):
            done = finished(
                idle_stack.begin("watch", run["run_id"], "--output-dir", str(tmp_path), "--json")
            ).document()
    assert done["status"] == "completed"
    asked = Counter(search.asked)
    assert {asked[target] for target in asked_by_first} == {1}, "asked once"
    attempts, timed_out = asyncio.run(started_and_timed_out(addresses.temporal_address, run["workflow_id"]))
    assert (max(attempts), timed_out) == (1, 0), "no attempt was counted, and no heartbeat waited for"


@dataclass
class HeldSearch:
    """The demo's search behind a port of its own: it hears questions, and answers when it is let."""

    url: str
    asked: list[str] = field(default_factory=list)
    may_answer: threading.Event = field(default_factory=threading.Event)


@contextmanager
def held_search(upstream: str) -> Iterator[HeldSearch]:
    """See ``HeldSearch``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            search.asked.append(self.path)
            search.may_answer.wait(60)
            with urlopen(f"{upstream}{self.path}") as answer:  # noqa: S310  # http, on this machine
                body = answer.read()
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """It says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    search = HeldSearch(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield search
    finally:
        search.may_answer.set()
        server.shutdown()
        server.server_close()


async def workflow_tasks_started(temporal_address: str, workflow_id: str) -> int:
    """How often a worker has taken a workflow up."""
    history = await (await connect(temporal_address)).get_workflow_handle(workflow_id).fetch_history()
    return sum(event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED for event in history.events)


async def started_and_timed_out(temporal_address: str, workflow_id: str) -> tuple[list[int], int]:
    """The attempt of each activity of a run and its companies that was started, and how many timed out."""
    client = await connect(temporal_address)
    events = [
        event
        async for execution in client.list_workflows(f"WorkflowId STARTS_WITH '{workflow_id}'")
        async for event in client.get_workflow_handle(execution.id, run_id=execution.run_id).fetch_history_events()
    ]
    attempts = [event.activity_task_started_event_attributes.attempt for event in events]
    return attempts, sum(event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT for event in events)


def stored_turns(stack: Terminal, run_id: str) -> dict[str, str]:
    """The key of each paid turn → its output."""
    keys = "concat_ws('/', subject, role, input_hash, turn)"
    query = f"SELECT {keys}, output::text FROM agent_turns WHERE run_id = %s AND status = 'stored'"  # noqa: S608  # keys is a constant
    return dict(stack.rows(query, run_id))
