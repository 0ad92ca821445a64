"""A run followed at the terminal: its progress, its questions, and at the end its files and the exit code."""

import asyncio
import json
import sys
import threading
from pathlib import Path
from typing import Any, TypeVar

import typer
from rich.console import Console

from cli.progress_display import follow, follow_on_console
from cli.render import counts_line, funnel_line, print_question, surplus_line
from cli.report import print_completeness
from domain.request.progress import RunStatus
from domain.request.run_request import OnDecision
from runtime.process import UserError
from runtime.services import Services
from store.runs.runs import RunRow
from usecases.decide import send_decision
from usecases.export import export_files
from usecases.status import RunView, view_run

TypedT = TypeVar("TypedT", int, str)

EXIT_WAITING, EXIT_FAILED, EXIT_CANCELLED = 3, 4, 5
_EXIT_CODES = {
    RunStatus.COMPLETED: 0,
    RunStatus.NEEDS_USER_DECISION: EXIT_WAITING,
    RunStatus.ERROR: EXIT_FAILED,
    RunStatus.CANCELLED: EXIT_CANCELLED,
}


class Detached(BaseException):
    """The person has left (Ctrl-C); the run goes on. Not an ``Exception``: nothing but the command line handles it."""

    def __init__(self, run: RunRow) -> None:
        short = str(run.run_id)[:8]
        super().__init__(
            f"Detached; run {short} goes on as long as a worker runs; a stack of this command's own (--local) stops with it: "
            f"start it again with `python starter.py local`. "
            f"Come back with: python starter.py watch {short}"
        )


async def follow_to_end(
    services: Services, run: RunRow, output_dir: Path, console: Console, *, as_json: bool, on_decision: OnDecision
) -> int:
    """Follow a run until it has ended, or waits for a decision that nobody at this terminal takes.

    Returns:
        The exit code: 0 completed, 3 waiting, 4 failed, 5 cancelled.

    Raises:
        UserError: the files cannot be written.
    """
    may_ask = on_decision is OnDecision.ASK and not as_json and sys.stdin.isatty() and console.is_terminal
    answered: str | None = None
    while True:
        try:
            if as_json:
                view = await follow(services, run, lambda _: None, answered)
            else:
                view = await follow_on_console(services, run, console, answered)
        except asyncio.CancelledError:
            raise Detached(run) from None
        if view.decision is None or not view.waits_for_person:
            return await _finish(services, view, output_dir, console, as_json=as_json)
        print_question(console, view.run, view.decision, services.link(run.workflow_id))
        options = view.decision.options
        try:
            number = await ask_for_option(len(options), console) if may_ask else 0
        except asyncio.CancelledError:
            raise Detached(run) from None
        if number == 0:
            if as_json:
                print_json(view.document())
            console.print(f"Run {run.run_id} waits for a decision. Answer with one of the commands above.")
            return EXIT_WAITING
        try:
            answer = await _filled_in(options[number - 1].answer)
            await send_decision(services, view.run, {**answer, "decided_by": "terminal"})
            answered = view.decision.decision_id
        except UserError as error:  # refused: the question is put again, unless somebody else has answered meanwhile
            console.print(str(error), markup=False, soft_wrap=True)
        except asyncio.CancelledError:
            raise Detached(run) from None


def print_json(document: dict[str, Any]) -> None:
    """The one JSON document of a command, on standard output."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")


async def ask_for_option(options: int, console: Console) -> int:
    """The number of the option that the person at the terminal takes; 0 leaves the question open."""
    while True:
        number = await _prompted(f"Which option (1 to {options}, 0 to leave it waiting)", int)
        if 0 <= number <= options:
            return number
        console.print(
            f"There is no option {number}: answer with a number from 1 to {options}, or 0 to leave it waiting."
        )


async def _filled_in(answer: dict[str, Any]) -> dict[str, Any]:
    """An option's answer with what the person has to name (``<two-letter code>``) in its place."""
    filled = dict(answer)
    for name, value in answer.items():
        if isinstance(value, list) and [str(item)[:1] for item in value] == ["<"]:
            typed = await _prompted(f"{name}: {value[0]}", str)
            filled[name] = [word.strip() for word in typed.split(",")]
    return filled


async def _prompted(text: str, kind: type[TypedT]) -> TypedT:
    """What is typed at the terminal. Ctrl-C leaves at once: the thread that reads is a daemon, so nothing waits for it."""
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


async def _finish(services: Services, view: RunView, output_dir: Path, console: Console, *, as_json: bool) -> int:
    view = await view_run(services, view.run, report=True)
    run, document = view.run, view.document()
    if run.status is RunStatus.COMPLETED:
        files = await export_files(services.conn, run, output_dir)
        document |= files.model_dump(mode="json", exclude={"companies", "contacts"})  # the document counts them already
        console.print(funnel_line(view.funnel), style="dim", markup=False, highlight=False)
        if view.surplus:
            console.print(surplus_line(view), markup=False, highlight=False)
        console.print(counts_line(view), markup=False, highlight=False)
        if view.completeness is not None:
            print_completeness(console, view.completeness)
        if files.partial:
            console.print(f"PARTIAL: {files.companies} of {run.target_quantity} companies. {run.notes}", markup=False)
        for line in (
            f"SUCCESS: Run {run.run_id}",
            f"Companies CSV: {files.companies_csv}",
            f"Contacts CSV: {files.contacts_csv}",
        ):
            console.print(line, soft_wrap=True, markup=False, highlight=False)
    else:
        console.print(f"Run {run.run_id} ended as {run.status.value}: {run.notes}", markup=False)
        console.print(f"What it found: python starter.py export {str(run.run_id)[:8]}")
    if as_json:
        print_json(document)
    return _EXIT_CODES[run.status]
