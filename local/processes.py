"""Child processes of the embedded stack: none outlives it, none is mistaken for another, each is stopped in time.

Lives here: starting, watching and stopping one child, telling a process from a later one with the same number, free
ports. Not here: which children there are (`stack.py`), and what each needs (`postgres.py`, `temporal_server.py`).
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Self, TypeVar

import psutil
import structlog
from pydantic import BaseModel

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LOOPBACK = "127.0.0.1"
POLL_INTERVAL_S = 0.03
LEFTOVER_GRACE_S = 10.0
LOG_KEPT_BYTES = 10_000_000  # a log that has grown past this is set aside as *.log.1 at the next start
LOG_TAIL_BYTES = 65_536
PORT_ATTEMPTS = 5
_SAME_START_TOLERANCE_S = 2.0  # the start time is counted from boot; a step of the clock moves it a little
_PORT_TAKEN = re.compile(r"address already in use|could not bind", re.IGNORECASE)
_EXEC_CHILD = Path(__file__).with_name("exec_child.py")

T = TypeVar("T")


class StackError(Exception):
    """The embedded stack cannot do what was asked. The message says what failed, what was expected, what to do."""


class PortTakenError(StackError):
    """A child ended because something else took its port after it was chosen."""


class SystemUser(BaseModel, frozen=True):
    """A user of this machine that a child runs as."""

    name: str
    uid: int
    gid: int


class ProcessIdentity(BaseModel, frozen=True):
    """One process, told from any later process with the same number by its start time and its command."""

    name: str
    pid: int
    created_at_s: float
    command: tuple[str, ...]
    stop_signals: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGKILL)  # one after the other, if it must end

    @classmethod
    def of_this_process(cls, name: str) -> Self:
        """The identity of the process that calls."""
        me = psutil.Process()
        return cls(name=name, pid=me.pid, created_at_s=me.create_time(), command=tuple(me.cmdline()))

    def find(self) -> psutil.Process | None:
        """The process, if it still runs and is the same one. A zombie, or one we may not look at, is not it."""
        try:
            process = psutil.Process(self.pid)
            same_start = abs(process.create_time() - self.created_at_s) <= _SAME_START_TOLERANCE_S
            # A child is first `exec_child.py … COMMAND`, then COMMAND; a script has its interpreter in front.
            same_command = tuple(process.cmdline()[-len(self.command) :]) == self.command
            alive = process.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return None
        return process if same_start and same_command and alive else None


class ChildSpec(BaseModel, frozen=True):
    """How to start a child and how to end it."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    cwd: Path
    log_path: Path
    user: SystemUser | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    # Sent when the grace is over, before SIGKILL, to a program that can still end in order then.
    urgent_signal: signal.Signals | None = None
    grace_s: float


class Child:
    """A running child. Started in a session of its own, so that Ctrl-C in a terminal reaches the supervisor alone."""

    def __init__(self, spec: ChildSpec) -> None:
        """Start it.

        The kernel ends it when the *thread* that started it ends: start children from a thread that lives as long.

        Raises:
            StackError: the program cannot be started.
        """
        self.spec = spec
        self._log_start_bytes = _make_room_for_log(spec.log_path)
        user = f"{spec.user.uid}:{spec.user.gid}" if spec.user else "-"
        exec_child = (sys.executable, "-I", "-S", str(_EXEC_CHILD), str(os.getpid()), str(int(spec.stop_signal)), user)
        with spec.log_path.open("ab") as output:
            try:
                self._process = subprocess.Popen(
                    (*exec_child, *spec.command),
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
        self.identity = self._identify()

    @property
    def ended(self) -> bool:
        """Whether it has ended, for whatever reason."""
        return self._process.poll() is not None

    @property
    def succeeded(self) -> bool:
        """Whether it has ended with code 0."""
        return self._process.poll() == 0

    def describe_end(self) -> str:
        """How it ended, with the last lines of its log."""
        code = self._process.poll()
        how = f"ended with code {code}" if code is None or code >= 0 else f"was ended by {signal.Signals(-code).name}"
        return f"{self.spec.name} {how}. {self.log_tail()}"

    def log_tail(self, lines: int = 20) -> str:
        """The last lines it wrote since this start, under the path of the log."""
        with self.spec.log_path.open("rb") as written:
            size_bytes = written.seek(0, os.SEEK_END)
            written.seek(max(self._log_start_bytes, size_bytes - LOG_TAIL_BYTES))
            text = written.read().decode(errors="replace")
        tail = "\n".join(text.splitlines()[-lines:]) or "(nothing)"
        return f"Last lines of {self.spec.log_path}:\n{tail}"

    async def wait(self, timeout_s: float) -> bool:
        """Whether it ended within the time."""
        deadline = time.monotonic() + timeout_s
        while not self.ended:
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(POLL_INTERVAL_S)
        return True

    async def wait_until_ready(self, missing: Callable[[], Awaitable[str | None]], timeout_s: float) -> None:
        """Ask `missing` again and again until it answers None, which means: ready.

        Raises:
            PortTakenError: the child ended because its port is taken.
            StackError: the child ended, or was not ready in time.
        """
        deadline = time.monotonic() + timeout_s
        while (reason := await missing()) is not None:
            self.raise_if_ended()
            if time.monotonic() >= deadline:
                raise StackError(f"{self.spec.name} was not ready within {timeout_s:g} s: {reason}. {self.log_tail()}")
            await asyncio.sleep(POLL_INTERVAL_S)
        self.raise_if_ended()  # or another server answered on the port that this one did not get

    def raise_if_ended(self) -> None:
        """Raises `StackError` (`PortTakenError` where that was the cause) if the child has ended."""
        if self.ended:
            message = self.describe_end()
            raise PortTakenError(message) if _PORT_TAKEN.search(message) else StackError(message)

    async def stop(self) -> None:
        """Stop it: its stop signal and its grace, then the urgent signal, then SIGKILL. Safe to call again."""
        if self.ended:
            return
        self._process.send_signal(self.spec.stop_signal)
        if await self.wait(self.spec.grace_s):
            return
        log.warning("child_did_not_stop", child=self.spec.name, grace_s=self.spec.grace_s)
        if self.spec.urgent_signal is not None:
            self._process.send_signal(self.spec.urgent_signal)
            if await self.wait(self.spec.grace_s):
                return
        self.kill()

    def kill(self) -> None:
        """End it and whatever it started, at once, and reap it."""
        if self.ended:
            return
        os.killpg(self._process.pid, signal.SIGKILL)  # it leads its own group and is not reaped yet
        self._process.wait()

    def _identify(self) -> ProcessIdentity:
        signals = (self.spec.stop_signal, self.spec.urgent_signal, signal.SIGKILL)
        process = psutil.Process(self._process.pid)  # not reaped yet, so it exists, if only as a zombie
        return ProcessIdentity(
            name=self.spec.name,
            pid=process.pid,
            created_at_s=process.create_time(),
            command=self.spec.command,
            stop_signals=tuple(each for each in signals if each is not None),
        )


Spawn = Callable[[ChildSpec], Child]


async def stop_leftover(identity: ProcessIdentity) -> None:
    """Stop a child of an earlier supervisor that did not live to do it. Does nothing if it is gone."""
    process = identity.find()
    if process is None:
        return
    log.warning("leftover_child_stopped", child=identity.name, pid=identity.pid)
    await stop_process(process, identity.stop_signals)


async def stop_process(process: psutil.Process, signals: Sequence[signal.Signals]) -> None:
    """Send a process that is no child of ours one signal after the other, until it is gone.

    Raises:
        StackError: it survived them all.
    """
    for each in signals:
        deadline = time.monotonic() + LEFTOVER_GRACE_S
        try:
            process.send_signal(each)  # psutil refuses if the number now belongs to another process
            while time.monotonic() < deadline:
                if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                    return
                await asyncio.sleep(POLL_INTERVAL_S)
        except psutil.NoSuchProcess:
            return
    raise StackError(f"process {process.pid} of an earlier start does not end. End it by hand and start again.")


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing listens on now. Another program may take one first: see `on_free_ports`."""
    holders = [socket.socket() for _ in range(count)]
    try:
        for holder in holders:
            holder.bind((LOOPBACK, 0))
        return [int(holder.getsockname()[1]) for holder in holders]
    finally:
        for holder in holders:
            holder.close()


def require_free_port(port: int, *, user: str, option: str) -> None:
    """Refuse a port that was asked for and is in use.

    Raises:
        StackError: names the port, who wanted it, who has it where that can be seen, and the option to change.
    """
    try:
        _bind(port)
    except OSError as error:
        holder = _who_listens(port)
        raise StackError(
            f"port {port} for {user} is in use{holder} ({error.strerror}). "
            f"Stop that program, or set {option} to another port or to none, which picks a free one."
        ) from error


def is_free_port(port: int) -> bool:
    """Whether nothing listens on a port of 127.0.0.1 now, and this process may."""
    try:
        _bind(port)
    except OSError:
        return False
    return True


def _bind(port: int) -> None:
    with socket.socket() as probe:
        # As servers do it themselves: a closed connection that lingers is no reason to refuse.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOOPBACK, port))


async def on_free_ports(attempt: Callable[[], Awaitable[T]], *, chosen_by_us: bool) -> T:
    """Run an attempt that picks its free ports itself; again with others if a port was lost to another program."""
    for _ in range(PORT_ATTEMPTS - 1):
        try:
            return await attempt()
        except PortTakenError as error:
            if not chosen_by_us:
                raise
            log.info("port_lost_to_another_program", error=str(error))
    return await attempt()


def _make_room_for_log(path: Path) -> int:
    """Set a big log aside; answer where in the file this start begins, in bytes."""
    size_bytes = path.stat().st_size if path.exists() else 0
    if size_bytes <= LOG_KEPT_BYTES:
        path.touch(mode=0o600)
        return size_bytes
    path.replace(path.with_name(f"{path.name}.1"))
    path.touch(mode=0o600)
    return 0


def _who_listens(port: int) -> str:
    """By which process the port is held, as part of a sentence; empty where the system does not tell."""
    try:
        for connection in psutil.net_connections("tcp"):
            local = connection.laddr
            if local and local.port == port and connection.status == psutil.CONN_LISTEN and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        log.debug("port_holder_hidden", port=port)
    return ""
