"""A real browser on the Web UI of a real stack. Without chromium these tests are left out, with a message."""

from __future__ import annotations

import shutil

import pytest

from tests.e2e import stacks

collect_ignore = [] if shutil.which("chromium") else ["test_web_ui.py"]


def pytest_configure(config: pytest.Config) -> None:
    """Share the stacks of ``tests/e2e``."""
    if not config.pluginmanager.has_plugin(stacks.__name__):
        config.pluginmanager.register(stacks, stacks.__name__)


def pytest_report_header() -> list[str]:
    return _left_out()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _left_out():
        terminalreporter.write_line(line, yellow=True)


def _left_out() -> list[str]:
    if not collect_ignore:
        return []
    return ["chromium is not installed: the tests in tests/browser are left out (apt-get install chromium)"]
