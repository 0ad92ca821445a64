"""``start --local`` watches its stack while it follows a run."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from cli.local_stack import watched
from local.stack import LocalStack, StackOptions, running_stack
from local.stack_state import read_record
from runtime.process import UserError


async def test_a_server_that_dies_ends_the_block_with_its_name(tmp_path: Path) -> None:
    options = StackOptions(directory=tmp_path / "local", workers=0, demo_web=False, demo_model=False)
    async with LocalStack(options) as stack:
        await stack.start_servers()
        assert running_stack(options.directory) is not None
        record = read_record(options.directory)
        assert record is not None
        [temporal] = [child for child in record.children if child.name == "temporal"]
        with pytest.raises(UserError, match="temporal"):
            async with watched(stack):
                os.kill(temporal.pid, signal.SIGKILL)
                await asyncio.sleep(60)


async def test_a_block_that_ends_stops_watching(tmp_path: Path) -> None:
    options = StackOptions(
        directory=tmp_path / "local", workers=0, demo_web=False, demo_model=False, external_temporal_address="x:1"
    )
    async with LocalStack(options) as stack:
        await stack.start_servers()
        async with watched(stack):
            pass
