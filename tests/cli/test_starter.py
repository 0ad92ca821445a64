"""The command line as a whole: version, list, leaving a run."""

import io
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from psycopg.types.json import Jsonb
from rich.console import Console
from typer.testing import CliRunner

import starter
from cli.common import Output
from cli.list import runs_table
from cli.watch import Detached, follow_to_end
from domain.request.criteria import parse_criteria
from domain.request.progress import RunStatus, Stage
from runtime.services import Services
from settings import Settings
from store.database import Connection
from store.runs import runs
from tests.conftest import PROJECT
from tests.store.rows import add_run
from usecases.status import RunView, stored_view


def test_version_is_that_of_the_project() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    result = CliRunner().invoke(starter.app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"{project['version']}\n")


async def test_the_list_fits_80_columns(conn: Connection) -> None:
    criteria = parse_criteria(
        {"pms": "Rent Manager", "city": "Colorado Springs", "state": "CO", "units_min": 50}
    ).criteria
    run_id = (await add_run(conn, target=10_000)).run_id
    await conn.execute("UPDATE runs SET criteria = %s WHERE run_id = %s", (Jsonb(criteria.described()), run_id))
    await runs.set_state(conn, run_id, Stage.CONTACT_DISCOVERY, RunStatus.NEEDS_USER_DECISION, "")
    output = io.StringIO()
    Console(file=output, width=80).print(runs_table(await runs.list_runs(conn, 10)))
    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    [row] = [line for line in lines if str(run_id)[:8] in line]
    assert row.split()[1:4] == ["needs_user_decision", "contact_discovery", "0/10000"]
    assert "{" not in output.getvalue(), "criteria are words, not JSON"
    assert "Colorado" in output.getvalue()


@pytest.mark.parametrize("owns_stack", [True, False])
async def test_a_stack_that_stops_with_the_command_is_said(
    conn: Connection, plain_environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, owns_stack: bool
) -> None:
    run_id = (await add_run(conn)).run_id
    question = {
        "decision_id": "decision-1", "reason": "contacts_short", "message": "Too few.", "funnel": {}, "options": [],
        "default": "cancel", "deadline": "2026-12-08T00:00:00Z",
    }  # fmt: skip
    await conn.execute(
        "UPDATE runs SET status = 'needs_user_decision', decision = %s WHERE run_id = %s", (Jsonb(question), run_id)
    )
    run = await runs.get_run(conn, run_id)
    view = await stored_view(conn, run, Settings(_env_file=None))

    async def views(*_: object) -> AsyncIterator[RunView]:
        yield view

    monkeypatch.setattr("cli.watch.follow_run", views)
    services = cast(Services, SimpleNamespace(link=lambda _: "http://ui.example/"))
    out = Output(file=io.StringIO(), width=120)
    assert await follow_to_end(services, run, tmp_path, out, owns_stack=owns_stack) == 3
    assert isinstance(out.file, io.StringIO)
    text = out.file.getvalue()
    assert ("start it again with `python starter.py local`" in text) is owns_stack
    assert ("http://ui.example/" in text) is not owns_stack


@pytest.mark.parametrize("owns_stack", [True, False])
async def test_leaving_a_run_says_how_to_come_back(conn: Connection, owns_stack: bool) -> None:
    run = await runs.get_run(conn, (await add_run(conn)).run_id)
    message = str(Detached(run, owns_stack=owns_stack))
    assert f"python starter.py watch {run.short_id}" in message
    assert ("python starter.py local" in message) is owns_stack
