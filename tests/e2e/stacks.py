"""The stacks that the whole-job tests share, each started once per session."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.stack import StackAddresses, StackOptions
from runtime.local_session import local_session
from tests.e2e.terminal import PROJECT, Terminal, wait_until

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 60.0
READY = "The local stack is running."


@contextmanager
def running_local_command(terminal: Terminal, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A running ``starter.py local``. Ctrl-C ends it, which must succeed."""
    log = terminal.directory / "local.out"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(PROJECT / "starter.py"), "local", *options],
            cwd=terminal.directory,
            env=terminal.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(
            lambda: READY in log.read_text(encoding="utf-8") or process.poll() is not None,
            "the stack is up",
            START_TIMEOUT_S,
        )
        assert process.poll() is None, f"the stack ended with {process.returncode}:\n{log.read_text(encoding='utf-8')}"
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            assert process.wait(STOP_TIMEOUT_S) == 0, log.read_text(encoding="utf-8")
    finally:
        if process.poll() is None:  # a test has failed
            process.terminate()
            process.wait(STOP_TIMEOUT_S)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A terminal with a running demo stack and one worker."""
    directory = tmp_path_factory.mktemp("stack")
    terminal = Terminal(directory, directory / "local")
    with running_local_command(terminal):
        yield terminal
    shutil.rmtree(directory)  # a cluster is 40 MB, and pytest keeps the directories of three sessions


@pytest.fixture(scope="session")
async def idle_stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Terminal]:
    """A terminal with a demo stack without workers: tests start their own."""
    directory: Path = tmp_path_factory.mktemp("idle-stack")
    async with local_session(StackOptions(directory=directory / "local", workers=0)):
        yield Terminal(directory, directory / "local")
    await asyncio.sleep(0.25)  # see runtime/process.py
    shutil.rmtree(directory)


@contextmanager
def running_worker(addresses: StackAddresses, directory: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A polling worker of an idle stack, with its log in ``directory``. It drains at the end, which must succeed."""
    ready = directory / "worker.ready"
    ready.unlink(missing_ok=True)
    prices = {"MODEL_PRICE_INPUT_USD_PER_MTOK": "0.25", "MODEL_PRICE_OUTPUT_USD_PER_MTOK": "2"}
    environment = Terminal(directory, directory).environment | addresses.environment() | prices | variables
    log = directory / "worker.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "worker.py"],
            cwd=PROJECT,
            env=environment | {"WORKER_READY_FILE": str(ready)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: ready.exists() or process.poll() is not None, "the worker polls")
        assert process.poll() is None, log.read_text(encoding="utf-8")
        yield process
        if process.poll() is None:
            process.terminate()
            assert process.wait(STOP_TIMEOUT_S) == 0, log.read_text(encoding="utf-8")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
