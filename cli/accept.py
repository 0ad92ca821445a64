"""``starter.py accept``: overrule the criteria for one company."""

from cli.common import (
    CompanyArgument,
    DecidedByOption,
    JsonOption,
    NoteOption,
    RunArgument,
    async_command,
    make_console,
    print_json,
    say,
)
from runtime.process import load_settings
from runtime.services import open_database
from usecases.accept_company import accept_company
from usecases.find import find_run


@async_command
async def accept(
    run: RunArgument,
    company: CompanyArgument,
    decided_by: DecidedByOption = "command line",
    note: NoteOption = "",
    as_json: JsonOption = False,
) -> int:
    """Overrule the criteria for one company that a run has turned down."""
    async with open_database(load_settings()) as conn:
        done = await accept_company(conn, await find_run(conn, run), company, decided_by, note)
    if as_json:
        print_json(done.model_dump(mode="json"))
    text = f"{done.company} is accepted ({done.reason} overruled by {decided_by}). {done.next}"
    say(make_console(as_json), text)
    return 0
