"""Concurrent runs, and one run started twice."""

from __future__ import annotations

import json
from collections import Counter
from uuid import uuid4

from tests.e2e.terminal import Terminal, finished, read_rows


def test_two_concurrent_runs_complete_with_their_own_companies(stack: Terminal) -> None:
    processes = {
        state: stack.begin(
            "start", "--criteria", json.dumps({"pms": "Buildium", "state": state}), "--quantity", "4", "--json"
        )
        for state in ("CO", "TN")
    }
    for state, process in processes.items():
        done = finished(process).document()
        rows = read_rows(stack.directory / done["companies_csv"])
        assert done["status"] == "completed"
        assert [row["state"] for row in rows] == [state] * 4
        contacts = read_rows(stack.directory / done["contacts_csv"])
        assert {row["company_domain"] for row in contacts} == {row["domain"] for row in rows}


def test_a_run_id_started_twice_at_once_is_one_run(stack: Terminal) -> None:
    run_id = str(uuid4())
    criteria = json.dumps({"pms": "Buildium", "state": "CO"})
    words = ("start", "--criteria", criteria, "--quantity", "3", "--run-id", run_id, "--json")
    done = [finished(process).document() for process in [stack.begin(*words), stack.begin(*words)]]
    assert [document["run_id"] for document in done] == [run_id, run_id]
    assert done[0]["companies_csv"] == done[1]["companies_csv"]
    assert stack.one("SELECT count(*) FROM runs WHERE run_id = %s", run_id) == 1
    assert stack.one("SELECT count(*) FROM audit_events WHERE run_id = %s AND event = 'run_started'", run_id) == 1
    keys = stack.rows("SELECT candidate_key FROM company_candidates WHERE run_id = %s", run_id)
    assert max(Counter(keys).values()) == 1
    assert stack.json(*words[:-1])["companies_csv"] == done[0]["companies_csv"], (
        "started again later it is still that run"
    )
