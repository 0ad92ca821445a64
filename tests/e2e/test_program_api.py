"""The functions that ``starter`` offers to programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import starter
from runtime.process import UserError
from tests.e2e.terminal import PROJECT, Terminal, read_rows

COLORADO = {"pms": "Buildium", "state": "CO"}


@pytest.fixture(autouse=True)
def at_the_stack(stack: Terminal, tmp_path: Path, plain_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCAL_DIR", str(stack.stack_directory))


def test_a_request_runs_to_its_end(tmp_path: Path) -> None:
    run_id, companies_csv, contacts_csv = starter.execute_full_pipeline(COLORADO, 3, contacts_max=2, output_dir="out")
    companies, contacts = read_rows(companies_csv), read_rows(contacts_csv)
    assert len(companies) == 3
    assert {row["company_domain"] for row in contacts} == {row["domain"] for row in companies}

    for stage in ("company_discovery", "company_research", "contact_discovery", "done"):
        starter.wait_for_stage_completion(run_id, stage, timeout=5)

    progress = starter.get_run_progress(run_id)
    assert list(progress) == "run_id stage status criteria companies contacts created_at notes".split()
    assert (progress["run_id"], progress["stage"], progress["status"]) == (run_id, "done", "completed")
    assert progress["criteria"] == {"pms": ["Buildium"], "states": ["CO"]}
    assert progress["companies"] == {"ready": 3, "gap": 0, "progress_pct": 100}
    assert progress["contacts"] == {"ready": len(contacts), "gap": 0, "progress_pct": 100}

    again = starter.export_run_to_files(run_id, tmp_path / "both")
    assert [Path(path).read_bytes() for path in again] == [
        Path(path).read_bytes() for path in (companies_csv, contacts_csv)
    ]
    one = Path(starter.export_companies_to_csv(run_id, tmp_path / "one"))
    assert one.read_bytes() == Path(companies_csv).read_bytes()
    assert list(one.parent.iterdir()) == [one], "only the companies file"
    other = Path(starter.export_contacts_to_csv(run_id, str(tmp_path / "other")))
    assert other.read_bytes() == Path(contacts_csv).read_bytes()


def test_a_run_that_needs_a_decision_is_a_resumable_error(stack: Terminal) -> None:
    with pytest.raises(
        starter.PipelineError, match=r"needs a decision \((candidates_exhausted|low_match_rate|contacts_short)\)"
    ) as raised:
        starter.execute_full_pipeline({"pms": "Buildium", "city": "Denver", "state": "CO"}, 3, timeout_per_stage=600)
    assert not isinstance(raised.value, starter.PipelineTimeoutError)
    run_id = str(raised.value).split()[1]
    with pytest.raises(starter.PipelineError, match="needs a decision"):
        starter.wait_for_stage_completion(run_id, "done", timeout=5)
    assert starter.get_run_progress(run_id)["status"] == "needs_user_decision"
    stack.run("signal", run_id, "cancel")


def test_a_stage_timeout_is_an_error_and_the_run_waits(stack: Terminal) -> None:
    with pytest.raises(starter.PipelineTimeoutError, match="1 seconds"):
        starter.execute_full_pipeline({"pms": "Buildium", "state": "OH"}, 400, timeout_per_stage=1)
    newest = stack.json("list", "--limit", "1")["runs"][0]
    assert newest["status"] == "needs_user_decision"
    stack.run("signal", newest["run_id"], "cancel")


def test_a_wait_timeout_leaves_the_run_alone(stack: Terminal) -> None:
    run_id = stack.start({"pms": "Buildium", "state": "CO"}, 400, waits=False)["run_id"]
    with pytest.raises(starter.PipelineTimeoutError, match="it continues"):
        starter.wait_for_stage_completion(run_id, "done", timeout=0.2)
    assert starter.get_run_progress(run_id)["status"] == "active"
    stack.run("cancel", run_id)


def test_a_bad_request_is_refused_before_anything_starts(stack: Terminal) -> None:
    before = stack.one("SELECT count(*) FROM runs")
    with pytest.raises(UserError, match="did you mean 'state'"):
        starter.execute_full_pipeline({"stat": "CO"}, 3)
    with pytest.raises(UserError, match="quantity must be from 1"):
        starter.execute_full_pipeline(COLORADO, 0)
    with pytest.raises(UserError, match="unknown stage 'research'"):
        starter.wait_for_stage_completion("0b5e7a52", "research", timeout=1)
    with pytest.raises(UserError, match="there is no run"):
        starter.get_run_progress("77777777-1111-4222-8333-444444444444")
    assert stack.one("SELECT count(*) FROM runs") == before


def test_importing_starter_starts_nothing(tmp_path: Path) -> None:
    look = (
        "import psutil, starter, threading; me = psutil.Process();"
        "print(threading.active_count(), me.num_threads(), me.net_connections(), me.children())"
    )
    environment = {"PYTHONPATH": str(PROJECT), "PATH": "", "HOME": str(tmp_path)}
    seen = subprocess.run(
        [sys.executable, "-c", look], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert (seen.stdout, seen.stderr) == ("1 1 [] []\n", "")
    assert list(tmp_path.iterdir()) == [], "no file is written"
