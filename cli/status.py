"""``starter.py status``: where a run stands."""

from cli.common import JsonOption, RunArgument, async_command, make_console, print_json, say
from cli.render import print_question, progress_panel
from cli.report import print_report
from runtime.process import load_settings
from runtime.services import open_services
from usecases.find import find_run
from usecases.status import view_run


@async_command
async def status(run: RunArgument, as_json: JsonOption = False) -> int:
    """Show where a run stands."""
    console = make_console(as_json)
    async with open_services(load_settings()) as services:
        view = await view_run(services, await find_run(services.conn, run), report=True)
        if as_json:
            print_json(view.document())
        say(console, f"Run {view.run.run_id}")
        console.print(progress_panel(view, is_demo=services.endpoints.is_demo))
        print_report(console, view)
        if view.run.notes:
            say(console, view.run.notes)
        if view.decision is not None and view.stranded is None:
            print_question(console, view.run, view.decision, services.link(view.run.workflow_id))
    return 0
