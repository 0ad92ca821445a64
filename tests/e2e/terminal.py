"""A terminal: the project's commands in their own directory and environment."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg

import starter
from local.stack import StackAddresses, running_stack

PROJECT = Path(__file__).resolve().parents[2]
COMMAND_TIMEOUT_S = 100.0


@dataclass(frozen=True)
class Output:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    def document(self) -> dict[str, Any]:
        """Standard output as JSON."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


@dataclass(frozen=True)
class Terminal:
    """Runs commands in ``directory``; they find the stack that runs in ``stack_directory``."""

    directory: Path
    stack_directory: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """No settings but ours, and a home without a Temporal profile."""
        own = {"HOME": str(self.directory), "LOCAL_DIR": str(self.stack_directory), "PYTHONUNBUFFERED": "1"}
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"} | own | self.variables

    def with_variables(self, **variables: str) -> Terminal:
        """The same terminal with more variables set."""
        return Terminal(self.directory, self.stack_directory, self.variables | variables)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Start ``python starter.py …`` and leave it running."""
        return subprocess.Popen(
            [sys.executable, str(PROJECT / "starter.py"), *words],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def process(self, *words: str, code: int = 0) -> Output:
        """Run ``python starter.py …`` as a process; it must end with the exit code."""
        return finished(self.begin(*words), code)

    def run(self, *words: str, code: int = 0) -> Output:
        """Run the command in a thread of this process, which saves a second of imports."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.environment, clear=True),
            mock.patch.object(sys, "argv", ["starter.py", *words]),
            contextlib.chdir(self.directory),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            ThreadPoolExecutor(1) as thread,  # it has no event loop
        ):
            ended = thread.submit(starter.main).result()
        assert ended == code, f"{words!r} ended with {ended}, not {code}:\n{out.getvalue()}\n{err.getvalue()}"
        return Output(ended, out.getvalue(), err.getvalue())

    def json(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Run with ``--json``; nothing may be written to standard error."""
        output = self.run(*words, "--json", code=code)
        assert output.err == ""
        return output.document()

    def start(
        self, criteria: dict[str, Any], quantity: int, *words: str, waits: bool = True, code: int = 0
    ) -> dict[str, Any]:
        """Start a run with ``--json``, and follow it to its end or its question if ``waits``."""
        how = ("--on-decision", "wait") if waits else ("--detach",)
        return self.json(
            "start", "--criteria", json.dumps(criteria), "--quantity", str(quantity), *how, *words, code=code
        )

    def status(self, run_id: str) -> dict[str, Any]:
        return self.json("status", run_id)

    def addresses(self) -> StackAddresses:
        found = running_stack(self.stack_directory)
        assert found is not None, "the stack does not run"
        return found

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Query the stack's database."""
        with psycopg.connect(self.addresses().database_url, options="-c search_path=pm_pipeline") as connection:
            return connection.execute(query.encode(), values).fetchall()

    def one(self, query: str, *values: object) -> Any:
        [[value]] = self.rows(query, *values)
        return value


def finished(process: subprocess.Popen[str], code: int | None = 0, timeout_s: float = COMMAND_TIMEOUT_S) -> Output:
    """What a command wrote. It must end with the exit code."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"{process.args!r} did not end within {timeout_s:g} s:\n{out}\n{err}") from None
    if code is not None:
        assert process.returncode == code, (
            f"{process.args!r} ended with {process.returncode}, not {code}:\n{out}\n{err}"
        )
    return Output(process.returncode, out, err)


def wait_until(holds: Callable[[], object], what: str, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.1)


def read_rows(path: str | Path) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
