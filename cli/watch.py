"""``starter.py watch``: follow a run to its end, answer its questions, write its files."""

import asyncio
import contextlib
import sys
import threading
from pathlib import Path
from typing import Any, TypeVar

import typer
from rich.live import Live

from cli.common import DEFAULT_OUTPUT_DIR, JsonOption, Output, OutputDirOption, RunArgument, async_command
from cli.render import counts_line, funnel_line, print_question, progress_line, progress_panel, surplus_line
from cli.report import print_completeness
from domain.request.progress import RunStatus
from domain.request.run_request import OnDecision
from runtime.process import UserError, load_settings
from runtime.services import Services, open_services
from store.runs.runs import RunRow
from usecases.decide import send_decision
from usecases.export import export_files
from usecases.find import find_run
from usecases.follow import follow_run
from usecases.start import check_output_dir
from usecases.status import RunView, view_run

TypedT = TypeVar("TypedT", int, str)

EXIT_CODES = {
    RunStatus.COMPLETED: 0,
    RunStatus.NEEDS_USER_DECISION: 3,
    RunStatus.ERROR: 4,
    RunStatus.CANCELLED: 5,
}
_START_AGAIN = "start it again with `python starter.py local`"


class Detached(BaseException):
    """A person pressed Ctrl-C while following a run. The run continues.

    Derives from ``BaseException``, so that only the command line catches it.
    """

    def __init__(self, run: RunRow, *, owns_stack: bool) -> None:
        back = f"python starter.py watch {run.short_id}"
        if owns_stack:
            super().__init__(f"Detached. The local stack has stopped: {_START_AGAIN}, then `{back}`.")
        else:
            super().__init__(
                f"Detached. Run {run.short_id} continues while a worker runs. Follow it again with: {back}"
            )


@async_command
async def watch(run: RunArgument, output_dir: OutputDirOption = DEFAULT_OUTPUT_DIR, as_json: JsonOption = False) -> int:
    """Follow a run to its end and write its files."""
    check_output_dir(output_dir)
    async with open_services(load_settings()) as services:
        row = await find_run(services.conn, run)
        return await follow_to_end(services, row, output_dir, Output(as_json))


async def follow_to_end(
    services: Services,
    run: RunRow,
    output_dir: Path,
    out: Output,
    *,
    on_decision: OnDecision = OnDecision.ASK,
    owns_stack: bool = False,
) -> int:
    """Follow a run until it ends, or waits for a decision that nobody makes at this terminal.

    Args:
        owns_stack: the local stack stops with this command, so messages say how to start it again.

    Returns:
        The exit code.

    Raises:
        UserError: the files cannot be written.
        Detached: Ctrl-C.
    """
    may_ask = on_decision is OnDecision.ASK and not out.quiet and sys.stdin.isatty() and out.is_terminal
    answered: str | None = None
    try:
        while True:
            view = await _display(services, run, out, answered)
            if view.decision is None or not view.waits_for_person:
                return await _finish(services, view, output_dir, out, owns_stack=owns_stack)
            print_question(out, view.run, view.decision, None if owns_stack else services.link(run.workflow_id))
            options = view.decision.options
            number = await ask_for_option(len(options), out) if may_ask else 0
            if number == 0:
                out.document(view.document())
                first = (
                    f"The local stack stops with this command: {_START_AGAIN}, then answer" if owns_stack else "Answer"
                )
                out.say(f"Run {run.run_id} waits for a decision. {first} with one of the commands above.")
                return EXIT_CODES[RunStatus.NEEDS_USER_DECISION]
            try:
                answer = await _filled_in(options[number - 1].answer)
                await send_decision(services, view.run, {**answer, "decided_by": "terminal"})
                answered = view.decision.decision_id
            except UserError as error:  # ask again, unless somebody else has answered meanwhile
                out.say(str(error))
    except asyncio.CancelledError:
        raise Detached(run, owns_stack=owns_stack) from None


async def ask_for_option(options: int, out: Output) -> int:
    """Ask for the number of an option. 0 leaves the question open."""
    while True:
        number = await _prompt(f"Which option (1 to {options}, 0 to decide later)", int)
        if 0 <= number <= options:
            return number
        out.print(f"There is no option {number}: enter a number from 1 to {options}, or 0 to decide later.")


async def _display(services: Services, run: RunRow, out: Output, answered: str | None) -> RunView:
    """Show progress until the run ends or asks. Returns the last view."""
    live = Live(console=out, refresh_per_second=4) if out.is_terminal and not out.quiet else None
    last = None
    with live or contextlib.nullcontext():
        async for view in follow_run(services, run, answered):
            change = (view.stage, view.run.status, view.companies_ready, view.why_nothing_moves)
            if live is not None:
                live.update(progress_panel(view, is_demo=services.endpoints.is_demo))
            elif change != last:
                suffix = f" · {view.why_nothing_moves}" if view.why_nothing_moves else ""
                out.say(progress_line(view) + suffix)
            last = change
    return view


async def _filled_in(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an option's answer. Ask the person for any value that is a placeholder, such as ``<two-letter code>``."""
    filled = dict(answer)
    for name, value in answer.items():
        if isinstance(value, list) and [str(item)[:1] for item in value] == ["<"]:
            typed = await _prompt(f"{name}: {value[0]}", str)
            filled[name] = [word.strip() for word in typed.split(",")]
    return filled


async def _prompt(text: str, kind: type[TypedT]) -> TypedT:
    # Read in a daemon thread, so that Ctrl-C ends the command at once.
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[TypedT] = loop.create_future()

    def put(typed: TypedT | None) -> None:
        if not answer.done():
            answer.cancel() if typed is None else answer.set_result(typed)

    def read() -> None:
        try:
            typed: TypedT | None = typer.prompt(text, type=kind)
        except (typer.Abort, EOFError):
            typed = None
        loop.call_soon_threadsafe(put, typed)

    threading.Thread(target=read, name="prompt", daemon=True).start()
    return await answer


async def _finish(services: Services, view: RunView, output_dir: Path, out: Output, *, owns_stack: bool) -> int:
    view = await view_run(services, view.run, report=True)
    run, document = view.run, view.document()
    if run.status is RunStatus.COMPLETED:
        files = await export_files(services.conn, run, output_dir)
        document |= files.model_dump(mode="json", exclude={"companies", "contacts"})  # already in the document
        out.say(funnel_line(view.funnel), "dim")
        if view.surplus:
            out.say(surplus_line(view))
        out.say(counts_line(view))
        if view.completeness is not None:
            print_completeness(out, view.completeness)
        if files.partial:
            out.say(f"PARTIAL: {files.companies} of {run.target_quantity} companies. {run.notes}")
        out.say(f"SUCCESS: Run {run.run_id}")
        out.say(f"Companies CSV: {files.companies_csv}")
        out.say(f"Contacts CSV: {files.contacts_csv}")
    else:
        out.say(f"Run {run.run_id} ended as {run.status.value}: {run.notes}")
        if owns_stack:
            out.say(f"The local stack stops with this command: {_START_AGAIN} before the next command.")
        out.say(f"To export what it found: python starter.py export {run.short_id}")
    out.document(document)
    return EXIT_CODES[run.status]
