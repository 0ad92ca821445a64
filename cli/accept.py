"""``starter.py accept``: overrule the criteria for one company."""

from typing import Annotated

import typer

from cli.common import DecidedByOption, JsonOption, NoteOption, Output, RunArgument, async_command
from runtime.process import load_settings
from runtime.services import open_database
from usecases.accept_company import accept_company
from usecases.find import find_run


@async_command
async def accept(
    run: RunArgument,
    company: Annotated[str, typer.Argument(metavar="COMPANY", help="Its domain, its full name, or its id.")],
    decided_by: DecidedByOption = "command line",
    note: NoteOption = "",
    as_json: JsonOption = False,
) -> int:
    """Accept one company although a criterion rejected it."""
    out = Output(as_json)
    async with open_database(load_settings()) as conn:
        done = await accept_company(conn, await find_run(conn, run), company, decided_by, note)
    out.document(done.model_dump(mode="json"))
    out.say(f"{done.company} is accepted ({done.reason} overruled by {decided_by}). {done.next}")
    return 0
