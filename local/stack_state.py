"""What a stack directory says about itself: who runs in it, where it answers, and the lock that admits one supervisor.

Lives here: the directory's own files (`stack.lock`, `stack.json`, folders). Not here: starting and stopping
(`stack.py`).
"""

from __future__ import annotations

import fcntl
import os
from datetime import datetime
from pathlib import Path

import structlog
from pydantic import BaseModel, Field, ValidationError

from local.postgres_home import open_to_postgres
from local.processes import ProcessIdentity, StackError

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

RECORD_FILE = "stack.json"
LOCK_FILE = "stack.lock"
FOLDERS = ("logs", "run")  # run: files by which children say that they are ready
UI_PORT_FILE = "ui_port"  # outlives a stop, as the links to the Web UI should


class StackAddresses(BaseModel, frozen=True):
    """Where a running stack answers. `database_url` holds the password: never log it."""

    temporal_address: str
    temporal_ui_url: str | None = None
    database_url: str = Field(repr=False)
    web_proxy: str | None = None
    searxng_url: str | None = None
    openai_base_url: str | None = None
    demo_seed: int | None = None
    pid: int
    started_at: datetime

    def environment(self) -> dict[str, str]:
        """The variables with which children, and commands that connect, find this stack. A missing part sets none."""
        variables = {
            "TEMPORAL_ADDRESS": self.temporal_address,
            "DATABASE_URL": self.database_url,
            "WEB_PROXY": self.web_proxy,
            "HOST_REQUEST_INTERVAL_S": "0" if self.web_proxy else None,  # the demo's own web minds no haste
            "MAIL_DNS": "false" if self.web_proxy else None,  # its names are in no DNS
            "SEARXNG_URL": self.searxng_url,
            "OPENAI_BASE_URL": self.openai_base_url,
            "OPENAI_API_KEY": "demo" if self.openai_base_url else None,
            "OPENAI_MODEL": "demo" if self.openai_base_url else None,
            # The demo model is free; it is priced like a small model, so that budgets and costs can be tried.
            "MODEL_PRICE_INPUT_USD_PER_MTOK": "0.25" if self.openai_base_url else None,
            "MODEL_PRICE_OUTPUT_USD_PER_MTOK": "2" if self.openai_base_url else None,
            "DEMO_SEED": None if self.demo_seed is None else str(self.demo_seed),
        }
        return {name: value for name, value in variables.items() if value is not None}


class StackRecord(BaseModel, frozen=True):
    """`stack.json`: the supervisor, the children to stop should it die, and the addresses once servers are ready."""

    supervisor: ProcessIdentity
    children: tuple[ProcessIdentity, ...] = ()
    addresses: StackAddresses | None = None


class StackAlreadyRunning(StackError):
    """Another supervisor runs in this directory. `addresses` is None while it is still starting."""

    def __init__(self, directory: Path, addresses: StackAddresses | None) -> None:
        """Name the directory and, where known, the process and the Web UI."""
        self.directory = directory
        self.addresses = addresses
        where = f"process {addresses.pid}, Web UI {addresses.temporal_ui_url}" if addresses else "it is still starting"
        super().__init__(f"a stack already runs in {directory} ({where}). Use it, stop it, or take another directory.")


def running_stack(directory: Path) -> StackAddresses | None:
    """The addresses of the stack that runs in this directory; None if none does, or it is not ready yet."""
    record = read_record(directory.expanduser().resolve())
    return record.addresses if record is not None and record.supervisor.find() is not None else None


class StackDirectory:
    """A stack directory held by this process."""

    def __init__(self, path: Path) -> None:
        """Create the directory if need be and take its lock.

        Raises:
            StackAlreadyRunning: another supervisor holds the lock.
            StackError: the directory cannot be used.
        """
        self.path = path
        try:
            self._prepare()
            # Never inherited by children (Python's default), so the lock ends with this process, however it ends.
            self._lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StackError(f"the directory {path} cannot be used: {error}. Choose another directory.") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise StackAlreadyRunning(path, running_stack(path)) from error

    def write(self, record: StackRecord) -> None:
        """Replace `stack.json` in one step."""
        unfinished = self.path / f"{RECORD_FILE}.unfinished"
        unfinished.touch(mode=0o600)
        unfinished.write_text(record.model_dump_json(indent=2))
        unfinished.replace(self.path / RECORD_FILE)

    @property
    def last_ui_port(self) -> int | None:
        """The port that the Web UI had at the last start; None at the first."""
        try:
            port = int((self.path / UI_PORT_FILE).read_text())
        except (FileNotFoundError, ValueError):  # a port of our own choice is no more than a comfort
            return None
        return port if 0 < port < 65536 else None

    def keep_ui_port(self, port: int) -> None:
        """Write down where the Web UI is, for the next start."""
        (self.path / UI_PORT_FILE).touch(mode=0o600)
        (self.path / UI_PORT_FILE).write_text(str(port))

    def release(self) -> None:
        """Remove the record and give the lock back. The lock's file stays: removing it would admit two."""
        (self.path / RECORD_FILE).unlink(missing_ok=True)
        os.close(self._lock)

    def _prepare(self) -> None:
        # Only a directory that is ours gets our permissions, at the first start: somebody may name their project directory.
        is_ours = not self.path.exists() or not any(self.path.iterdir())
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_ours:
            self.path.chmod(0o700)
            open_to_postgres(self.path)
        for folder in FOLDERS:
            (self.path / folder).mkdir(mode=0o700, exist_ok=True)


def read_record(directory: Path) -> StackRecord | None:
    """What `stack.json` says, true or not any more; None if there is none that can be read."""
    try:
        return StackRecord.model_validate_json((directory / RECORD_FILE).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValidationError as error:  # written by another version: nothing in it can be relied on
        log.warning("stack_record_unreadable", path=str(directory / RECORD_FILE), error=str(error))
        return None
