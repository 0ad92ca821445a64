"""``starter.py status``: show the state of a run."""

from cli.common import JsonOption, Output, RunArgument, async_command
from cli.render import print_question, progress_panel
from cli.report import print_report
from runtime.process import load_settings
from runtime.services import open_services
from usecases.find import find_run
from usecases.status import view_run


@async_command
async def status(run: RunArgument, as_json: JsonOption = False) -> int:
    """Show the state of a run."""
    out = Output(as_json)
    async with open_services(load_settings()) as services:
        view = await view_run(services, await find_run(services.conn, run), report=True)
        out.document(view.document())
        out.say(f"Run {view.run.run_id}")
        out.print(progress_panel(view, is_demo=services.endpoints.is_demo))
        print_report(out, view)
        if view.run.notes:
            out.say(view.run.notes)
        if view.decision is not None and view.stranded is None:
            print_question(out, view.run, view.decision, services.link(view.run.workflow_id))
    return 0
