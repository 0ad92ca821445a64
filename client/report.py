"""What a run came to, in tables for a terminal: where companies were lost, and what each kind of search brought."""

from rich.console import Console
from rich.table import Table

from client.status import RunView


def print_report(console: Console, view: RunView) -> None:
    """Both tables, as soon as there is something to count."""
    if view.sources:
        console.print(sources_table(view))
    if view.funnel.get("found"):
        console.print(funnel_table(view))


def funnel_table(view: RunView) -> Table:
    """Where companies were lost step by step, and what each kind of search came to."""
    table = Table("step", "companies", "lost", title="Funnel", title_justify="left")
    for step in view.funnel_steps:
        table.add_row(
            step.name, f"{step.companies:,}", ", ".join(f"{count} {reason}" for reason, count in step.lost.items())
        )
    return table


def sources_table(view: RunView) -> Table:
    """What each kind of search came to, cheapest kind first."""
    columns = ("search", "done", "named", "new", "on lists", "poor reads", "cost", "seconds")
    table = Table(*columns, title="Searches", title_justify="left")
    dried_up = view.live.dried_up if view.live else ()
    for source in view.sources:
        done = f"{source.done}/{source.planned}" + (f", {source.failed} failed" if source.failed else "")
        table.add_row(
            source.kind.replace("_", " ") + (" (given up: hardly anything new)" if source.kind in dried_up else ""),
            done,
            str(source.named),
            str(source.new),
            str(source.listed),
            str(source.poor_reads),
            f"${source.cost_usd:.4f}",
            f"{source.seconds:.0f}",
        )
    return table
