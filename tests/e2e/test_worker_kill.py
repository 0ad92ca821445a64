"""A worker that dies or stops loses nothing that was paid for: another one continues."""

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
from typing import Any
from urllib.request import urlopen

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from runtime.connection import connect
from tests.e2e.model_servers import model_server, scripted
from tests.e2e.stacks import running_worker
from tests.e2e.terminal import Terminal, finished, read_rows, wait_until

WINDOW = {"DISCOVERY_WINDOW": "1", "COMPANY_WINDOW": "3"}


def test_a_killed_worker_costs_no_stored_turn(idle_stack: Terminal, tmp_path: Path) -> None:
    addresses = idle_stack.addresses()
    with model_server(scripted, pause_after=12) as model:
        setting = {"OPENAI_BASE_URL": model.url, "OPENAI_MODEL": "counted", "WORKER_DRAIN_S": "5"}
        with running_worker(addresses, tmp_path, **setting) as worker:
            run = idle_stack.with_variables(**WINDOW).start({"pms": "Buildium", "state": "AZ"}, 6, waits=False)
            # Everything waits for the model, so only the heartbeat timeout shows that the worker is dead.
            wait_until(lambda: model.paused.is_set() and model.unanswered >= 3, "the run is in mid-work")
            stored_before = stored_turns(idle_stack, run["run_id"])
            in_flight = model.unanswered
            worker.send_signal(signal.SIGKILL)
            assert worker.wait(10) == -signal.SIGKILL
        assert stored_before, "turns were paid for before the kill"
        model.go_on()
        with running_worker(addresses, tmp_path, **setting):
            done = watched(idle_stack, run["run_id"], tmp_path)

    companies, contacts = read_rows(done["companies_csv"]), read_rows(done["contacts_csv"])
    assert len(companies) == len({row["domain"] for row in companies}) == 6
    assert len(contacts) == len({(row["company_domain"], row["full_name"]) for row in contacts})
    stored_after = stored_turns(idle_stack, run["run_id"])
    assert stored_before.items() <= stored_after.items(), "stored turns are unchanged"
    # When the run reaches its target, open calls are cancelled.
    cancelled = len(
        idle_stack.rows("SELECT 1 FROM agent_turns WHERE run_id = %s AND input_hash ~ ' ended '", run["run_id"])
    )
    assert len(model.asked) - len(stored_after) - cancelled <= in_flight, "only calls of the dead worker are repeated"


def test_a_draining_worker_keeps_its_answers_and_takes_no_work(idle_stack: Terminal, tmp_path: Path) -> None:
    """Activities that outlast the drain are rescheduled: ``tests/activities/test_worker_shutdown.py``."""
    addresses = idle_stack.addresses()
    with model_server(scripted, pause_after=6) as model:
        setting = {"OPENAI_BASE_URL": model.url, "OPENAI_MODEL": "counted", "WORKER_DRAIN_S": "40"}
        setting |= {"KNOWN_COMPANY_DAYS": "0", "KNOWN_CONTACTS_DAYS": "0", "SEARCH_TTL_HOURS": "0"}
        with running_worker(addresses, tmp_path, **setting) as drained:
            run = idle_stack.with_variables(**WINDOW).start({"pms": "Buildium", "state": "AZ"}, 2, waits=False)
            wait_until(lambda: model.paused.is_set() and model.unanswered >= 1, "the worker waits for an answer")
            drained.send_signal(signal.SIGTERM)
            wait_until_logged(tmp_path, "worker_draining")
            second = idle_stack.start({"pms": "Buildium", "state": "NV"}, 1, waits=False)
            time.sleep(1)  # a worker that still polled would start it now
            model.go_on()
            assert drained.wait(30) == 0, "it drained long before its time was over"
        assert len(model.asked) == len(stored_turns(idle_stack, run["run_id"])), "each answer is kept"
        started = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
        assert started not in {event.event_type for event in events_of(idle_stack, second)}
        idle_stack.run("cancel", second["run_id"])
        with running_worker(addresses, tmp_path, **setting):
            watched(idle_stack, run["run_id"], tmp_path)
    assert_no_attempt_was_lost(events_of(idle_stack, run))


def test_a_search_that_outlasts_the_drain_is_made_once(idle_stack: Terminal, tmp_path: Path) -> None:
    addresses = idle_stack.addresses()
    with held_search(addresses.environment()["SEARXNG_URL"]) as search:
        setting = {"SEARXNG_URL": search.url, "WORKER_DRAIN_S": "1"}
        with running_worker(addresses, tmp_path, **setting) as drained:
            run = idle_stack.with_variables(**WINDOW).start({"pms": "Buildium", "state": "OH"}, 1, waits=False)
            wait_until(lambda: bool(search.asked), "the worker waits for a search")
            drained.send_signal(signal.SIGTERM)
            wait_until_logged(tmp_path, "activity_rescheduled")
            search.may_answer.set()
            assert drained.wait(15) == 0
        asked_by_first = set(search.asked)
        with running_worker(addresses, tmp_path, **setting):
            watched(idle_stack, run["run_id"], tmp_path)
    asked = Counter(search.asked)
    assert {asked[target] for target in asked_by_first} == {1}, "asked once"
    assert_no_attempt_was_lost(events_of(idle_stack, run))


@dataclass
class HeldSearch:
    """The demo's search, which hears requests at once and answers when it may."""

    url: str
    asked: list[str] = field(default_factory=list)
    may_answer: threading.Event = field(default_factory=threading.Event)


@contextmanager
def held_search(upstream: str) -> Iterator[HeldSearch]:
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
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    search = HeldSearch(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield search
    finally:
        search.may_answer.set()
        server.shutdown()
        server.server_close()


def watched(stack: Terminal, run_id: str, directory: Path) -> dict[str, Any]:
    """The document of a run that completes."""
    return finished(stack.begin("watch", run_id, "--output-dir", str(directory), "--json")).document()


def wait_until_logged(directory: Path, event: str) -> None:
    log = directory / "worker.log"
    wait_until(lambda: event in log.read_text(encoding="utf-8"), event)


def assert_no_attempt_was_lost(events: list[HistoryEvent]) -> None:
    attempts = [event.activity_task_started_event_attributes.attempt for event in events]
    assert max(attempts) == 1, "the shutdown counted no attempt"
    timeout = EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT
    assert timeout not in {event.event_type for event in events}, "nothing waited for a heartbeat timeout"


def events_of(stack: Terminal, run: dict[str, Any]) -> list[HistoryEvent]:
    """The events of a run and its companies."""

    async def load() -> list[HistoryEvent]:
        client = await connect(stack.addresses().temporal_address)
        return [
            event
            async for execution in client.list_workflows(f"WorkflowId STARTS_WITH '{run['workflow_id']}'")
            async for event in client.get_workflow_handle(execution.id, run_id=execution.run_id).fetch_history_events()
        ]

    return asyncio.run(load())


def stored_turns(stack: Terminal, run_id: str) -> dict[str, str]:
    """The key of each paid turn → its output."""
    keys = "concat_ws('/', subject, role, input_hash, turn)"
    query = f"SELECT {keys}, output::text FROM agent_turns WHERE run_id = %s AND status = 'stored'"  # noqa: S608  # keys is a constant
    return dict(stack.rows(query, run_id))
