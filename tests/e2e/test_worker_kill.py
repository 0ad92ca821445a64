"""A worker that dies in the middle loses nothing that was paid for: another one goes on where it stopped."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

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
    assert len(model.asked) <= len(stored_after) + in_flight, "asked again: only what the dead worker was waiting for"


def stored_turns(stack: Terminal, run_id: str) -> dict[str, str]:
    """The key of each paid turn → its output."""
    keys = "concat_ws('/', subject, role, input_hash, turn)"
    query = f"SELECT {keys}, output::text FROM agent_turns WHERE run_id = %s AND status = 'stored'"  # noqa: S608  # keys is a constant
    return dict(stack.rows(query, run_id))
