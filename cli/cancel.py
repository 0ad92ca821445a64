"""``starter.py cancel``: stop a run."""

from cli.common import JsonOption, RunArgument, async_command, make_console, print_json, say
from runtime.process import load_settings
from runtime.services import open_services
from usecases.decide import cancel_run
from usecases.find import find_run


@async_command
async def cancel(run: RunArgument, as_json: JsonOption = False) -> int:
    """Cancel a run. What it found is kept and can be exported."""
    async with open_services(load_settings()) as services:
        row = await find_run(services.conn, run)
        await cancel_run(services, row)
    if as_json:
        print_json({"run_id": str(row.run_id), "cancel_requested": True})
    text = f"Run {row.short_id} is being cancelled. To export what it found: python starter.py export {row.short_id}"
    say(make_console(as_json), text)
    return 0
