"""Where a test runs an activity without a server."""

from dataclasses import replace

from temporalio.testing import ActivityEnvironment

from workflows.policies import AGENT


def step_environment() -> ActivityEnvironment:
    """An attempt that has as much time as an agent's step gets from the workflows; the testing library's own is one second."""
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, start_to_close_timeout=AGENT["start_to_close_timeout"])
    return environment
