"""Finding the run a person means: by run id, by its first characters, or by workflow id."""

import re
from uuid import UUID

from runtime.process import UserError
from store.database import Connection
from store.runs import runs
from store.runs.runs import RunRow

_PREFIX_MIN = 4


async def find_run(conn: Connection, text: str) -> RunRow:
    """The run that a text names.

    Raises:
        UserError: no run, or several, are meant.
    """
    wanted = text.strip().lower().removeprefix("lead-list-")
    try:
        run = await runs.find_run(conn, UUID(wanted))
    except ValueError:
        if not re.fullmatch(rf"[0-9a-f-]{{{_PREFIX_MIN},36}}", wanted):
            raise UserError(
                f"{text!r} is no run: give the run id, its first 8 characters or the workflow id "
                "(`python starter.py list` shows them)"
            ) from None
        found = await runs.find_runs_by_prefix(conn, wanted)
        if len(found) > 1:
            ids = ", ".join(str(run.run_id) for run in found)
            raise UserError(f"{text!r} is ambiguous, it could be: {ids}. Give more characters.") from None
        run = found[0] if found else None
    if run is None:
        raise UserError(f"there is no run {text!r}: `python starter.py list` shows the runs")
    return run
