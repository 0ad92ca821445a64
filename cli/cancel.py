"""``starter.py cancel``: cancel a run."""

from cli.common import JsonOption, Output, RunArgument, async_command
from runtime.process import load_settings
from runtime.services import open_services
from usecases.decide import cancel_run
from usecases.find import find_run


@async_command
async def cancel(run: RunArgument, as_json: JsonOption = False) -> int:
    """Cancel a run. Its results stay and can be exported."""
    out = Output(as_json)
    async with open_services(load_settings()) as services:
        row = await find_run(services.conn, run)
        await cancel_run(services, row)
    out.document({"run_id": str(row.run_id), "cancel_requested": True})
    out.say(f"Run {row.short_id} is being cancelled. To export what it found: python starter.py export {row.short_id}")
    return 0
