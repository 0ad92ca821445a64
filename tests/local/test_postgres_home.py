"""Postgres as root: its system user, its programs and its data, without opening a directory of somebody else's."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import postgres_home
from local.postgres_home import find_postgres_home, postgres_programs
from local.processes import StackError
from local.stack import LocalStack
from tests.local.stack_helpers import PROJECT, children_of_stack, execute, permissions, postgres_only, set_permissions

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="concerns a stack that root starts")


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that the system user can enter, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_data_whose_password_is_gone_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("18")
    with pytest.raises(StackError, match=r"holds data, but .*postgres\.password is gone"):
        find_postgres_home(tmp_path)


@as_root
def test_parallel_first_starts_agree_on_the_system_user(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"pmtest{os.getpid()}"
    code = (
        f"import local.postgres_home as home; home.SYSTEM_USER = {name!r}; print(home._system_user().uid, flush=True)"
    )
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # as in cron: without the directory of useradd
    try:
        stacks = [
            subprocess.Popen((sys.executable, "-c", code), cwd=PROJECT, stdout=subprocess.PIPE, text=True)
            for _ in range(4)
        ]
        told = {stack.communicate(timeout=60)[0].splitlines()[-1] for stack in stacks}
        assert told == {str(pwd.getpwnam(name).pw_uid)}
    finally:
        subprocess.run(("/usr/sbin/userdel", name), check=False)


@as_root
async def test_data_is_in_the_directory_if_its_user_can_enter(open_directory: Path) -> None:
    directory = open_directory / "stack"
    async with LocalStack(postgres_only(directory)) as stack:
        await stack.start_servers()
        assert children_of_stack(directory)["postgres"].username() == postgres_home.SYSTEM_USER
        assert find_postgres_home(directory).data == directory / "postgres"


@as_root
async def test_data_is_elsewhere_if_its_user_cannot_enter(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    directory = closed / "stack"
    async with LocalStack(postgres_only(directory)) as stack:
        await stack.start_servers()
        home = find_postgres_home(directory)
        assert not home.data.is_relative_to(tmp_path)
        assert permissions(home.data) & 0o077 == 0
    assert permissions(closed) == 0o700
    copied = closed / "copied"
    shutil.copytree(directory, copied, symlinks=True)
    with pytest.raises(StackError, match=f"links to the data of {directory}"):
        find_postgres_home(copied)
    shutil.rmtree(directory)
    assert find_postgres_home(copied).data == home.data, "a moved directory keeps its data"
    shutil.rmtree(copied)
    (closed / "other").mkdir()
    find_postgres_home(closed / "other")
    assert not home.data.exists(), "the next start removes the data of a deleted temporary directory"


@as_root
async def test_data_stays_where_it_is_when_permissions_change(open_directory: Path) -> None:
    directory = open_directory / "stack"
    set_permissions(open_directory, 0o700)
    async with LocalStack(postgres_only(directory)) as stack:
        addresses = await stack.start_servers()
        await execute(addresses.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
    set_permissions(open_directory, 0o755)
    async with LocalStack(postgres_only(directory)) as stack:
        addresses = await stack.start_servers()
        assert await execute(addresses.database_url, "SELECT answer FROM kept") == [(42,)]
        assert not find_postgres_home(directory).data.is_relative_to(directory)


@as_root
def test_data_that_its_user_can_no_longer_enter_is_an_error(open_directory: Path) -> None:
    (open_directory / "postgres").mkdir()
    (open_directory / "postgres.password").write_text("secret")
    set_permissions(open_directory, 0o700)
    with pytest.raises(StackError, match="holds data, but pgserver can't enter"):
        find_postgres_home(open_directory)


@as_root
async def test_programs_that_its_user_cannot_reach_are_copied(
    tmp_path: Path, open_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_home, "STABLE_BASE", open_directory)
    programs = postgres_programs()
    package = programs.parents[1]
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    for part in (programs.parent, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, hidden / part.relative_to(package.parent))
    out_of_reach = hidden / programs.relative_to(package.parent)
    monkeypatch.setattr(postgres_home, "postgres_programs", lambda: out_of_reach)
    async with LocalStack(postgres_only(tmp_path / "stack")) as stack:
        addresses = await stack.start_servers()
        assert await execute(addresses.database_url, "SELECT 1") == [(1,)]
        assert Path(children_of_stack(tmp_path / "stack")["postgres"].exe()).is_relative_to(open_directory)
