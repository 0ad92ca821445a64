"""The workflows decide as in the recorded histories of representative runs.

When a worker stops, another one continues its runs by replaying their histories. Code that decides otherwise than a history
has recorded stops that run. So a commit that must break a history records it again and names the change in its message:
open runs have to finish, or be cancelled, before that version is deployed.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from temporalio.workflow import NondeterminismError

from tests.conftest import PROJECT
from tests.histories.record import SCENARIOS
from tests.histories.replay import RECORDED, load, replayer
from tests.workflows.conftest import check_payloads
from workflows import activity_stubs

FILE_BYTES_MAX = 200_000


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
async def test_the_workflows_decide_as_recorded(path: Path) -> None:
    try:
        await replayer().replay_workflow(load(path))
    except NondeterminismError as error:
        pytest.fail(
            f"{error}\nIf open runs may break: `python -m tests.histories.record`, and name the change in the commit"
        )


@pytest.mark.parametrize("seed", range(5))
def test_no_decision_depends_on_the_order_of_a_set(seed: int) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    command = [sys.executable, "-m", "tests.histories.replay"]
    replayed = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert replayed.returncode == 0, replayed.stderr


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_recorded_history_is_small_and_names_nobody(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text) <= FILE_BYTES_MAX, "record a shorter run"
    assert not [word for word in ('"identity"', '"stackTrace"', "@") if word in text]
    check_payloads(load(path))


def test_every_scenario_and_activity_is_recorded() -> None:
    assert {path.name.split(".")[0] for path in RECORDED} == set(SCENARIOS)
    events = [event for path in RECORDED for event in load(path).events]
    scheduled = {event.activity_task_scheduled_event_attributes.activity_type.name for event in events}
    stubs = [stub for stub in vars(activity_stubs).values() if isinstance(stub, activity_stubs.Stub)]
    assert {stub.name for stub in stubs} <= scheduled
