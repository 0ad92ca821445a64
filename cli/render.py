"""What a person sees in the terminal: criteria as understood, progress, questions, runs."""

import json
import shlex
from collections.abc import Iterable
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from domain.delivery.completeness import ModelUsage
from domain.request.decision import DecisionOption, DecisionRequest
from domain.request.run_request import RunRequest
from store.runs.runs import ListedRun, RunRow
from usecases.decide import ANSWER_FLAGS
from usecases.status import RunView

PRICE_SETTINGS = "MODEL_PRICE_INPUT_USD_PER_MTOK and MODEL_PRICE_OUTPUT_USD_PER_MTOK"
_STEPS = ("company_discovery", "company_research", "contact_discovery", "done")


def criteria_table(request: RunRequest) -> Table:
    """The request as understood, with the mode of each criterion."""
    table = Table("criterion", "value", "mode", title="The request, as understood", title_justify="left")
    described = request.criteria.described()
    described.pop("modes", None)
    keys = {"states": "place", "cities": "place", "zip": "place", "radius_miles": "place"}
    keys |= {"units_min": "units", "units_max": "units"}
    for name, value in described.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        criterion = keys.get(name, name)
        asked = request.criteria.asked()
        mode = next((request.criteria.mode_of(key).value for key in asked if key == criterion), "")
        table.add_row(name, shown, mode)
    table.add_row("companies", f"{request.target_quantity:,}", "")
    table.add_row("contacts per company", f"{request.contacts_min} to {request.contacts_max}", "")
    if request.limits.max_cost_usd is not None:
        table.add_row("cost limit", f"${request.limits.max_cost_usd:g}", "")
    if request.limits.max_model_calls is not None:
        table.add_row("limit of model calls", f"{request.limits.max_model_calls:,}", "")
    return table


def progress_panel(view: RunView, *, is_demo: bool) -> RenderableType:
    """A run's progress for a terminal."""
    run = view.run
    line = Text()
    for step in _STEPS:
        style = "bold cyan" if step == view.stage.value else "dim"
        line.append(step, style=style).append(" → " if step != _STEPS[-1] else "", style="dim")
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        "companies",
        ProgressBar(total=run.target_quantity, completed=view.companies_ready, width=30),
        f"{view.companies_ready}/{run.target_quantity} {view.companies_ready * 100 // run.target_quantity} %",
    )
    wanted = f"{run.target_quantity} companies of {json.dumps(run.criteria.described())}"
    if run.criteria != run.criteria_asked:
        wanted += f" (as amended; asked for: {json.dumps(run.criteria_asked.described())})"
    parts: list[RenderableType] = [Text(wanted), line, bar, Text(counts_line(view))]
    if view.funnel:
        parts.append(Text("funnel: " + funnel_line(view.funnel), style="dim"))
    if view.surplus:
        parts.append(Text(surplus_line(view)))
    if view.refused and (view.decision is None or view.decision.problem is None):  # an open question says it itself
        last = view.refused[0]
        meant = f" to {last.decision_id}" if last.decision_id else ""
        parts.append(
            Text(f"An answer{meant} was refused on {last.at:%Y-%m-%d %H:%M} UTC: {last.problem}", style="yellow")
        )
    if view.why_nothing_moves:
        parts.append(Text(view.why_nothing_moves, style="yellow"))
    if is_demo:
        parts.append(Text("DEMO: the companies are fictional", style="magenta"))
    return Group(*parts)


def counts_line(view: RunView) -> str:
    """Contacts, what is open and the cost in one line."""
    run, live = view.run, view.live
    gap = max(0, run.target_quantity - view.companies_ready)
    text = f"contacts {view.contacts_ready} · gap {gap} · status {run.status.value}"
    if live is not None and not view.has_ended:
        text += (
            f" · open: {live.open_discovery} searches, {live.open_research} in research,"
            f" {live.open_contacts} in contacts, {live.queued} waiting"
        )
    return f"{text} · model calls {view.model_calls} · cost {cost_text(view.model_usage)}"


def cost_text(usage: ModelUsage) -> str:
    """The cost in US dollars. An unknown price is never shown as $0."""
    if not usage.unpriced_calls:
        return f"${usage.cost_usd:.4f}"
    some = usage.unpriced_calls < usage.model_calls
    which = (
        f" for {usage.unpriced_calls} of {usage.model_calls} calls; the others ${usage.cost_usd:.4f}" if some else ""
    )
    return f"unknown{which} (set {PRICE_SETTINGS})"


def progress_line(view: RunView) -> str:
    """The same in one line, for logs."""
    run = view.run
    percent = view.companies_ready * 100 // run.target_quantity
    return (
        f"{view.stage.value}: companies {view.companies_ready}/{run.target_quantity} {percent} % · {counts_line(view)}"
    )


def funnel_line(funnel: dict[str, int]) -> str:
    """Companies by where they ended, most first."""
    ends = sorted(((name, count) for name, count in funnel.items() if name != "found"), key=lambda item: -item[1])
    return f"{funnel.get('found', 0)} found: " + ", ".join(f"{count} {name}" for name, count in ends)


def surplus_line(view: RunView) -> str:
    """Why the funnel counts more complete companies than the files hold."""
    are = "company is" if view.surplus == 1 else "companies are"
    return (
        f"{view.surplus:,} more {are} complete than the {view.companies_ready:,} of the list: not in the files, "
        "kept for later runs."
    )


def print_question(console: Console, run: RunRow, question: DecisionRequest, link: str | None) -> None:
    """The open question with its options and how to answer each."""
    short = str(run.run_id)[:8]
    console.print(f"\n[bold yellow]NEEDS USER DECISION[/] {question.decision_id} ({question.reason.value})")
    console.print(question.message, markup=False)
    console.print(funnel_line(question.funnel), style="dim", markup=False)
    for number, option in enumerate(question.options, start=1):
        expected = f" ({option.expectation})" if option.expectation else ""
        console.print(f"  {number}  {option.description}{expected}", markup=False, highlight=False, soft_wrap=True)
        console.print(
            f"     {signal_command(short, option)}", style="cyan", markup=False, highlight=False, soft_wrap=True
        )
    until = f"{question.deadline:%Y-%m-%d %H:%M} UTC"
    console.print(f"Without an answer by {until}: {question.default.value}. While it waits, nothing is bought.")
    if question.problem:
        console.print(f"The last answer was refused: {question.problem}", style="red", markup=False)
    if link:
        console.print(f"Web UI: {link}", markup=False, soft_wrap=True)


def signal_command(short: str, option: DecisionOption) -> str:
    """The command that sends an option."""
    words = ["python", "starter.py", "signal", short, option.action.value]
    for name, value in option.answer.items():
        if name in ANSWER_FLAGS:
            values: Iterable[object] = value if isinstance(value, list) else [value]
            for item in values:
                words += [ANSWER_FLAGS[name]] if item is True else [ANSWER_FLAGS[name], str(item)]
    return shlex.join(words)


def run_document(run: ListedRun) -> dict[str, Any]:
    """A run as ``list --json`` prints it."""
    return {
        "run_id": str(run.run_id),
        "workflow_id": run.workflow_id,
        "status": run.status.value,
        "stage": run.stage.value,
        "target_quantity": run.target_quantity,
        "companies": run.companies_ready,
        "criteria": run.criteria.described(),
        "criteria_asked": run.criteria_asked.described(),
        "created_at": run.created_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "notes": run.notes,
    }


def runs_table(rows: list[ListedRun]) -> Table:
    """Runs, newest first."""
    table = Table("run", "status", "stage", "companies", "criteria", "created (UTC)")
    for run in rows:
        table.add_row(
            str(run.run_id)[:8],
            run.status.value,
            run.stage.value,
            f"{run.companies_ready}/{run.target_quantity}",
            json.dumps(run.criteria.described()),
            f"{run.created_at:%Y-%m-%d %H:%M}",
        )
    return table
