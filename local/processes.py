"""Child processes of the embedded stack, and free ports for them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

import psutil
import structlog
from pydantic import BaseModel

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LOOPBACK = "127.0.0.1"
POLL_INTERVAL_S = 0.03
LEFTOVER_GRACE_S = 10.0
LOG_KEPT_BYTES = 10_000_000  # the next start renames a larger log to *.log.1
LOG_TAIL_BYTES = 65_536
PORT_ATTEMPTS = 5
_SAME_START_TOLERANCE_S = 2.0  # a clock adjustment changes a process's start time a little
_PORT_TAKEN = re.compile(r"address already in use|could not bind", re.IGNORECASE)
_EXEC_CHILD = str(Path(__file__).with_name("exec_child.py"))

T = TypeVar("T")


class StackError(Exception):
    """The embedded stack failed. The message says what failed and what to do."""


class PortTakenError(StackError):
    """Another program took a child's port after we chose it."""


class SystemUser(NamedTuple):
    name: str
    uid: int
    gid: int


class ProcessIdentity(BaseModel, frozen=True):
    """A process. The start time tells it from a later process with the same pid."""

    name: str
    pid: int
    created_at_s: float

    @classmethod
    def of(cls, name: str, pid: int | None = None) -> Self:
        """Identify a running process; without a pid, this one."""
        process = psutil.Process(pid)
        return cls(name=name, pid=process.pid, created_at_s=process.create_time())

    def find(self) -> psutil.Process | None:
        """Return the process if it still runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created_at_s) <= _SAME_START_TOLERANCE_S
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return None
        return process if same and is_alive(process) else None


@dataclass(frozen=True, kw_only=True)
class ChildSpec:
    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    cwd: Path
    log_path: Path
    user: SystemUser | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace_s: float


class Child:
    """A running child. It has its own session, so Ctrl-C in a terminal does not reach it."""

    def __init__(self, spec: ChildSpec) -> None:
        """Start the child. The kernel stops it when the *thread* that started it ends.

        Raises:
            StackError: the program cannot be started.
        """
        self.spec = spec
        self._log_start_bytes = _prepare_log(spec.log_path)
        user = f"{spec.user.uid}:{spec.user.gid}" if spec.user else "-"
        tied = (sys.executable, "-I", "-S", _EXEC_CHILD, str(os.getpid()), str(int(spec.stop_signal)), user)
        with spec.log_path.open("ab") as output:
            try:
                self._process = subprocess.Popen(
                    (*tied, *spec.command),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=spec.cwd,
                    env=spec.environment,
                    start_new_session=True,
                    umask=0o077,
                )
            except OSError as error:
                raise StackError(f"{spec.name} cannot be started in {spec.cwd}: {error}") from error
        self.identity = ProcessIdentity.of(spec.name, self._process.pid)

    @property
    def exit_code(self) -> int | None:
        """The exit code, or minus the signal number. None while the child runs."""
        return self._process.poll()

    @property
    def ended(self) -> bool:
        return self.exit_code is not None

    def describe_end(self) -> str:
        """Return how the child ended, with the last lines of its log."""
        code = self.exit_code
        how = f"ended with code {code}" if code is None or code >= 0 else f"was ended by {signal.Signals(-code).name}"
        return f"{self.spec.name} {how}. {self._log_tail()}"

    def _log_tail(self, lines: int = 20) -> str:
        with self.spec.log_path.open("rb") as written:
            size_bytes = written.seek(0, os.SEEK_END)
            written.seek(max(self._log_start_bytes, size_bytes - LOG_TAIL_BYTES))
            text = written.read().decode(errors="replace")
        tail = "\n".join(text.splitlines()[-lines:]) or "(nothing)"
        return f"Last lines of {self.spec.log_path}:\n{tail}"

    async def wait(self, timeout_s: float) -> bool:
        """Wait up to ``timeout_s`` for the child to end. Return whether it did."""
        deadline = time.monotonic() + timeout_s
        while not self.ended:
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(POLL_INTERVAL_S)
        return True

    async def wait_until_ready(self, missing: Callable[[], Awaitable[str | None]], timeout_s: float) -> None:
        """Wait until ``missing`` returns None. Before that, it returns what is not ready.

        Raises:
            PortTakenError: the child ended because its port is taken.
            StackError: the child ended, or was not ready in time.
        """
        deadline = time.monotonic() + timeout_s
        while (reason := await missing()) is not None and not self.ended:
            if time.monotonic() >= deadline:
                raise StackError(f"{self.spec.name} was not ready within {timeout_s:g} s: {reason}. {self._log_tail()}")
            await asyncio.sleep(POLL_INTERVAL_S)
        if self.ended:  # even if all seems ready: another server may answer on the port
            message = self.describe_end()
            raise PortTakenError(message) if _PORT_TAKEN.search(message) else StackError(message)

    async def stop(self) -> None:
        """Send the stop signal. Kill the child if it does not end in time."""
        if self.ended:
            return
        self._process.send_signal(self.spec.stop_signal)
        if not await self.wait(self.spec.grace_s):
            log.warning("child_did_not_stop", child=self.spec.name, grace_s=self.spec.grace_s)
            self.kill()

    def kill(self) -> None:
        """Kill the child and its process group."""
        if not self.ended:
            os.killpg(self._process.pid, signal.SIGKILL)  # safe: the child leads its group and is not reaped yet
            self._process.wait()


Spawn = Callable[[ChildSpec], Child]


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs. A zombie does not count."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def stop_leftover(process: psutil.Process, *signals: signal.Signals) -> None:
    """Stop a process of an earlier supervisor. Send one signal after the other until it is gone.

    Raises:
        StackError: it survived all signals.
    """
    log.warning("leftover_process_stopped", pid=process.pid)
    for each in signals:
        deadline = time.monotonic() + LEFTOVER_GRACE_S
        try:
            process.send_signal(each)  # psutil refuses if the pid now belongs to another process
        except psutil.NoSuchProcess:
            return
        while time.monotonic() < deadline:
            if not is_alive(process):
                return
            await asyncio.sleep(POLL_INTERVAL_S)
    raise StackError(f"process {process.pid} of an earlier start does not end. Kill it and start again.")


def free_ports(count: int) -> list[int]:
    """Return free ports of 127.0.0.1. Another program may still take them: see ``on_free_ports``."""
    holders = [socket.socket() for _ in range(count)]
    try:
        for holder in holders:
            holder.bind((LOOPBACK, 0))
        return [int(holder.getsockname()[1]) for holder in holders]
    finally:
        for holder in holders:
            holder.close()


async def on_free_ports(attempt: Callable[[], Awaitable[T]], *, chosen_by_us: bool) -> T:
    """Call ``attempt``, which chooses ports. Repeat it if another program takes one of them first."""
    for _ in range(PORT_ATTEMPTS - 1):
        try:
            return await attempt()
        except PortTakenError as error:
            if not chosen_by_us:
                raise
            log.info("port_lost_to_another_program", error=str(error))
    return await attempt()


def require_free_port(port: int | None, *, user: str, option: str) -> None:
    """Check a port that the user asked for.

    Raises:
        StackError: the port is in use.
    """
    if port is not None and (problem := port_problem(port)):
        raise StackError(
            f"port {port} for {user} is in use{_listener(port)} ({problem}). "
            f"Stop that program, or set {option} to another port or to none, which picks a free one."
        )


def port_problem(port: int) -> str | None:
    """Return why a port of 127.0.0.1 cannot be used, or None."""
    with socket.socket() as probe:
        # Like a server, ignore closed connections that linger.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            return error.strerror
    return None


def _listener(port: int) -> str:
    """Return which process uses a port, as part of a sentence. Empty if unknown."""
    try:
        for each in psutil.net_connections("tcp"):
            if each.laddr and each.laddr.port == port and each.status == psutil.CONN_LISTEN and each.pid:
                return f" by {psutil.Process(each.pid).name()} (process {each.pid})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        log.debug("port_holder_hidden", port=port)
    return ""


def _prepare_log(path: Path) -> int:
    """Rotate a large log. Return its size in bytes, where the new output starts."""
    if path.exists() and path.stat().st_size > LOG_KEPT_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    path.touch(mode=0o600)
    return path.stat().st_size
