"""Replay every recorded history with the workflows as they are: ``python -m tests.histories.replay``."""

import asyncio
import json
from functools import cache
from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from runtime.worker import workflow_runner
from workflows.company import CompanyWorkflow
from workflows.lead_list import LeadListWorkflow

RECORDED = sorted(Path(__file__).parent.glob("*.json"))


@cache
def load(path: Path) -> WorkflowHistory:
    recorded = json.loads(path.read_text(encoding="utf-8"))
    return WorkflowHistory.from_json(recorded["workflowId"], {"events": recorded["events"]})


def replayer() -> Replayer:
    return Replayer(
        workflows=[LeadListWorkflow, CompanyWorkflow],
        workflow_runner=workflow_runner(),
        data_converter=pydantic_data_converter,
    )


async def _main() -> None:
    for path in RECORDED:
        await replayer().replay_workflow(load(path))
    await asyncio.sleep(0.25)  # see runtime/process.py


if __name__ == "__main__":
    asyncio.run(_main())
