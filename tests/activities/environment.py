"""Where a test runs an activity without a server."""

from dataclasses import replace

from temporalio.testing import ActivityEnvironment

from workflows.policies import AGENT


def activity_environment(attempt: int = 1) -> ActivityEnvironment:
    """An attempt with the time that the workflows give an agent's activity; the testing library gives one second."""
    environment = ActivityEnvironment()
    time_limit = AGENT["start_to_close_timeout"]
    environment.info = replace(environment.info, start_to_close_timeout=time_limit, attempt=attempt)
    return environment
