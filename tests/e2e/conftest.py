"""Whole jobs on the real stack. Its stacks are started once for this folder and for ``tests/browser``."""

import pytest

from tests.e2e import stacks


def pytest_configure(config: pytest.Config) -> None:
    """Offer the fixtures of ``stacks.py`` once, whichever folder is collected first."""
    if not config.pluginmanager.has_plugin(stacks.__name__):
        config.pluginmanager.register(stacks, stacks.__name__)
