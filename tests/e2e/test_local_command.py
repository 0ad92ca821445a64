"""``starter.py local`` and ``start --local``."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local.stack_state import running_stack
from tests.e2e.stacks import STOP_TIMEOUT_S, running_local_command
from tests.e2e.terminal import PROJECT, Terminal, finished, read_rows, wait_until

COLORADO = {"pms": "Buildium", "state": "CO"}
START_LOCAL = ("start", "--local", "--criteria", '{"state": "CO"}', "--quantity", "1")


@pytest.fixture
def aside(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal with its own directory, beside the shared stack."""
    yield Terminal(tmp_path, tmp_path / "local")
    shutil.rmtree(tmp_path)


def test_a_second_stack_in_the_same_directory_is_refused(stack: Terminal) -> None:
    addresses = stack.addresses()
    refused = stack.process("local", code=2)
    assert f"a stack already runs in {stack.stack_directory}" in refused.err
    assert f"process {addresses.pid}" in refused.err
    assert str(addresses.temporal_ui_url) in refused.err
    assert stack.addresses() == addresses, "the first is not disturbed"


def test_a_taken_port_is_named_with_its_process(stack: Terminal, aside: Terminal) -> None:
    port = urlsplit(f"//{stack.addresses().temporal_address}").port
    refused = aside.process("local", "--temporal-port", str(port), code=2)
    assert f"port {port} for the Temporal server is in use by temporal" in refused.err
    assert running_stack(aside.stack_directory) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "mcp.json cannot be read: No such file"),
        ("{", "mcp.json is not JSON"),
        (
            '{"mcpServers": {"registry": {"command": "no-such-command", "roles": ["discovery"]}}}',
            "server 'registry': its command was not found",
        ),
    ],
    ids=["no_file", "no_json", "no_command"],
)
@pytest.mark.parametrize("command", [("local",), START_LOCAL], ids=["local", "start_local"])
def test_a_bad_mcp_config_is_refused_before_anything_starts(
    aside: Terminal, command: tuple[str, ...], content: str | None, said: str
) -> None:
    if content is not None:
        (aside.directory / "mcp.json").write_text(content)
    refused = aside.with_variables(MCP_CONFIG="mcp.json").run(*command, code=2)
    assert said in refused.err
    assert not aside.stack_directory.exists()


def test_a_run_survives_ctrl_c_and_completes_after_a_restart(stack: Terminal, aside: Terminal) -> None:
    with running_local_command(aside) as first:
        run_id = aside.start({"state": "CO"}, 15, waits=False)["run_id"]
        assert [run["run_id"] for run in aside.json("list")["runs"]] == [run_id], "each directory has its own runs"
        assert run_id not in [run["run_id"] for run in stack.json("list")["runs"]]
        wait_until(lambda: aside.one("SELECT count(*) FROM company_candidates") > 0, "the run has begun")
        watching = aside.begin("watch", run_id)
        assert watching.stdout is not None
        assert "companies" in watching.stdout.readline(), "it follows the run"
        first.send_signal(signal.SIGINT)
        assert first.wait(STOP_TIMEOUT_S) == 0
        left = finished(watching, code=2)
        assert "stopped answering" in left.err.splitlines()[-1]
        assert "Traceback" not in left.err
    assert "stack" in aside.run("status", run_id, code=2).err
    with running_local_command(aside):
        done = aside.json("watch", run_id)
        assert len(read_rows(aside.directory / done["companies_csv"])) == 15
        assert aside.rows("SELECT tool FROM tool_results GROUP BY tool, args HAVING count(*) > 1") == []


def test_a_user_without_rights_can_run_everything() -> None:
    with tempfile.TemporaryDirectory(prefix="pm-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        command = command_of_nobody(directory)
        terminal = Terminal(directory, directory / "local")
        words = ["start", "--local", "--criteria", '{"pms": "Buildium", "state": "CO"}', "--quantity", "2", "--json"]
        finished = subprocess.run(
            [*command, str(PROJECT / "starter.py"), *words],
            cwd=directory,
            env=terminal.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=110,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        files = sorted((directory / "exports").iterdir())
        assert [path.name.split("_")[0] for path in files] == ["companies", "contacts"]
        assert len(read_rows(files[0])) == 2
        assert {path.owner() for path in files} == {directory.owner()}


def command_of_nobody(directory: Path) -> list[str]:
    """A command that runs Python as ``nobody``, who becomes the owner of the directory.

    Others may not reach root's interpreter; then another of the same version runs with the same packages. Without root,
    or if nobody can run any Python, it is the current user's Python.
    """
    if os.geteuid() != 0:
        return [sys.executable]
    nobody = pwd.getpwnam("nobody")
    user = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    twin = directory / "python"
    for base in (Path(sys.executable).resolve(), Path("/usr/local/bin") / version, Path("/usr/bin") / version):
        runs = subprocess.run([*user, "/bin/sh", "-c", f"{base} -V"], cwd="/", check=False, capture_output=True)
        if runs.returncode == 0:
            break
    else:
        return [sys.executable]
    (twin / "bin").mkdir(parents=True)
    (twin / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
    (twin / "bin" / "python").symlink_to(base)
    (twin / "bin" / "temporal").symlink_to(Path(sys.executable).with_name("temporal"))
    (twin / "lib").symlink_to(Path(sys.prefix) / "lib")
    shutil.chown(directory, "nobody")
    return [*user, str(twin / "bin" / "python")]
