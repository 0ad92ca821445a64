"""The replay gate: what runs did under the code that started them, the code as it is must decide again (docs/upgrades.md).

Temporal takes a run to another worker by replaying its history there. A change that decides otherwise at any point of a
recorded history would stop open runs at that point, so it fails here first.
"""

import json
import re
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from runtime.worker import workflow_runner
from tests.conftest import PROJECT
from tests.histories.changed_workflow import ChangedLeadListWorkflow
from tests.histories.record import DIRECTORY, SCENARIOS, SUMS, load, sum_line
from tests.workflows.conftest import check_payloads
from workflows import activity_stubs
from workflows.company import CompanyWorkflow
from workflows.lead_list import LeadListWorkflow

RECORDED = sorted(DIRECTORY.glob("*.json"))
FILE_BYTES_MAX = 200_000


async def replay(path: Path, lead_list: type = LeadListWorkflow) -> None:
    """Run the workflows as they are on a recorded history.

    Raises:
        AssertionError: they decide otherwise than was recorded; the message says what to do.
    """
    replayer = Replayer(
        workflows=[lead_list, CompanyWorkflow],
        workflow_runner=workflow_runner(),
        data_converter=pydantic_data_converter,
    )
    try:
        await replayer.replay_workflow(load(path))
    except NondeterminismError as error:
        raise AssertionError(
            f"The workflows no longer decide as {path.name} has recorded: a run that is open at this point would stop "
            f"when a worker with this code takes it up. Keep the old course for runs that have taken it, with "
            f'`if workflow.patched("<name of the change>"): <new course>`, `else: <old course>`, then record the new '
            f"course beside the old: `python -m tests.histories.record`. Delete a recorded history only when no run of "
            f"that age is open any more (docs/upgrades.md). Temporal says: {error}"
        ) from error


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
async def test_f32_a_run_started_by_earlier_code_goes_on_under_this_code(path: Path) -> None:
    await replay(path)


@pytest.mark.parametrize("path", [p for p in RECORDED if p.name.startswith("decision.")], ids=lambda path: path.stem)
async def test_a_change_of_the_course_fails_and_the_message_says_what_to_do(path: Path) -> None:
    with pytest.raises(AssertionError, match=r"workflow\.patched.*tests\.histories\.record.*docs/upgrades\.md"):
        await replay(path, ChangedLeadListWorkflow)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_recorded_history_is_small_and_names_nobody(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text) <= FILE_BYTES_MAX, "record a shorter course"
    assert not [word for word in ('"identity"', '"stackTrace"', "@") if word in text], "they name who recorded it"
    check_payloads(load(path))


def test_no_recorded_history_has_been_recorded_over() -> None:
    """A change that open runs cannot take would pass, if it came with a new recording under an old name."""
    noted = (DIRECTORY / SUMS).read_text(encoding="utf-8").splitlines(keepends=True)
    changed = sorted({sum_line(path) for path in RECORDED} ^ set(noted))
    assert not changed, (
        f"{SUMS} and the files differ in {sorted({line.split()[1] for line in changed})}. A history is never edited: put the "
        "file back as it was and record a new generation beside it. Where no run of its age is open, delete the file and its line."
    )


def test_every_scenario_is_recorded() -> None:
    recorded = {path.name.split(".")[0] for path in RECORDED}
    assert recorded == set(SCENARIOS), "record it: `python -m tests.histories.record SCENARIO`"


def test_every_step_that_a_run_can_take_is_in_a_recorded_history() -> None:
    taken = {name for path in RECORDED for name in activities_of(load(path))}
    missing = {call.__name__ for call in activity_stubs.ACTIVITIES} - taken
    assert not missing, f"no recorded history has {missing}: give tests/histories/record.py a scenario that takes it"


def test_every_patch_is_in_a_recorded_history_of_runs_that_took_the_new_course() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / "workflows").glob("*.py"))
    written = set(re.findall(r"""workflow\.patched\(\s*["']([^"']+)""", source))
    taken = {patch for path in RECORDED for patch in patches_of(load(path))}
    assert written, "the workflows have patches"
    assert written <= taken, f"record a run that takes {written - taken}: `python -m tests.histories.record`"


def patches_of(history: WorkflowHistory) -> set[str]:
    """Names of the patches that a history was recorded with."""
    markers = [event.marker_recorded_event_attributes for event in history.events]
    found = [
        payload
        for marker in markers
        if marker.marker_name == "core_patch"
        for payload in marker.details["patch-data"].payloads
    ]
    return {str(json.loads(payload.data)["id"]) for payload in found}


def activities_of(history: WorkflowHistory) -> set[str]:
    """Names of the activities that a history schedules."""
    names = {event.activity_task_scheduled_event_attributes.activity_type.name for event in history.events}
    return names - {""}


def test_the_changed_workflow_differs_from_the_real_one_by_one_step_alone() -> None:
    own = {name for name in vars(ChangedLeadListWorkflow) if not name.startswith("__")}
    assert own - {"run", "_record_state"} == set()
    assert workflow._Definition.must_from_class(ChangedLeadListWorkflow).name == "LeadListWorkflow"
