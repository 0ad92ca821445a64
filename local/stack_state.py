"""The files of a stack directory: the lock of its supervisor, and ``stack.json`` with the addresses."""

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


class StackAddresses(BaseModel, frozen=True):
    """The addresses of a running stack. Never log `database_url`: it contains the password."""

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
        """Return the settings that connect workers and commands to this stack."""
        variables = {"TEMPORAL_ADDRESS": self.temporal_address, "DATABASE_URL": self.database_url}
        if self.web_proxy and self.searxng_url:
            variables |= {
                "WEB_PROXY": self.web_proxy,
                "SEARXNG_URL": self.searxng_url,
                "HOST_REQUEST_INTERVAL_S": "0",  # the demo's web needs no rate limit
                "MAIL_DNS": "false",  # the demo's domains are not in DNS
            }
        if self.openai_base_url:
            variables |= {
                "OPENAI_BASE_URL": self.openai_base_url,
                "OPENAI_API_KEY": "demo",
                "OPENAI_MODEL": "demo",
                # The demo model is free, but has the price of a small model, so that you can try budgets.
                "MODEL_PRICE_INPUT_USD_PER_MTOK": "0.25",
                "MODEL_PRICE_OUTPUT_USD_PER_MTOK": "2",
            }
        if self.demo_seed is not None:
            variables["DEMO_SEED"] = str(self.demo_seed)
        return variables


class StackRecord(BaseModel, frozen=True):
    """The content of `stack.json`. `addresses` is None unless the servers are ready.

    `ui_port` is kept after a stop, so that links to the Web UI stay valid.
    """

    supervisor: ProcessIdentity
    children: tuple[ProcessIdentity, ...] = ()
    addresses: StackAddresses | None = None
    ui_port: int | None = None


class StackAlreadyRunning(StackError):
    """Another supervisor runs in this directory. `addresses` is None while it starts."""

    def __init__(self, directory: Path, addresses: StackAddresses | None) -> None:
        self.addresses = addresses
        where = f"process {addresses.pid}, Web UI {addresses.temporal_ui_url}" if addresses else "it is still starting"
        super().__init__(
            f"a stack already runs in {directory} ({where}). Use it, stop it, or choose another directory."
        )


def running_stack(directory: Path) -> StackAddresses | None:
    """Return the addresses of the stack that runs in this directory, or None if none is ready."""
    record = read_record(directory.expanduser().resolve())
    return record.addresses if record is not None and record.supervisor.find() is not None else None


def read_record(directory: Path) -> StackRecord | None:
    """Read `stack.json`, which may be out of date. Return None if it is missing or damaged."""
    try:
        return StackRecord.model_validate_json((directory / RECORD_FILE).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValidationError as error:
        log.warning("stack_record_unreadable", path=str(directory / RECORD_FILE), error=str(error))
        return None


class StackDirectory:
    def __init__(self, path: Path) -> None:
        """Create the directory if needed, and lock it.

        Raises:
            StackAlreadyRunning: another supervisor holds the lock.
            StackError: the directory cannot be used.
        """
        self.path = path
        try:
            self._prepare()
            # Python's children do not inherit it, so the lock ends with this process.
            self._lock = os.open(path / "stack.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StackError(f"the directory {path} cannot be used: {error}. Choose another directory.") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise StackAlreadyRunning(path, running_stack(path)) from error

    def write(self, record: StackRecord) -> None:
        """Replace `stack.json` atomically."""
        unfinished = self.path / f"{RECORD_FILE}.unfinished"
        unfinished.touch(mode=0o600)
        unfinished.write_text(record.model_dump_json(indent=2))
        unfinished.replace(self.path / RECORD_FILE)

    def release(self) -> None:
        """Unlock. Keep the lock file: with a new file, a second supervisor could start."""
        os.close(self._lock)

    def _prepare(self) -> None:
        # Do not change the permissions of a directory with content: it may be someone's project.
        is_ours = not self.path.exists() or not any(self.path.iterdir())
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_ours:
            self.path.chmod(0o700)
            open_to_postgres(self.path)
        for folder in ("logs", "run"):
            (self.path / folder).mkdir(mode=0o700, exist_ok=True)
