"""The loop of the evaluations: in each demo world, ask twice for all companies of one software and state, and measure."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from domain.request.progress import RunStatus
from domain.request.run_request import OnDecision
from evals.figures import Figure, print_rows, table
from evals.gold import by_domain
from evals.harness import demo_services, stack_directory
from local.demo.truth import GoldCompany, gold_table
from local.demo.world import generate_world
from runtime.process import run_async
from runtime.services import Services
from store.database import Connection
from store.runs import runs
from usecases.start import StartOptions, build_request, start_run

PMS, STATE, QUANTITY = "Buildium", "TX", 200  # more companies than any world has
Row = dict[str, Any]

Seeds = Annotated[list[int] | None, typer.Argument(metavar="[SEED…]", help="Worlds; by default five.")]
Into = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, writable=True, help="Document with the marks.")]


@dataclass(frozen=True)
class Measured:
    """A demo world after two runs for the same request.

    Attributes:
        gold: the true companies, by each of their domains.
        fitting: those that a perfect run delivers.
    """

    conn: Connection
    gold: dict[str, GoldCompany]
    fitting: list[GoldCompany]
    first: UUID
    second: UUID

    async def rows(self, query: str, *values: object) -> list[Row]:
        return list(await (await self.conn.execute(query.encode(), values)).fetchall())


def evaluate(
    name: str, seeds: Sequence[int], into: Path | None, measure: Callable[[Measured], Awaitable[list[Figure]]]
) -> None:
    """Measure each world, print the table (or put it between the marks of a document), and exit: 1 if a target is missed."""
    columns: dict[str, list[Figure]] = {}
    for seed in seeds:
        print(f"seed {seed} …", file=sys.stderr)
        with stack_directory() as directory:
            figures = columns[f"seed {seed}"] = run_async(_evaluate_world(directory, seed, measure))
        print_rows(figures)
        if into is not None:
            _put(into, name, table(columns, "one worker"))
    if into is None:
        print(table(columns, "one worker"))
    raise typer.Exit(0 if all(figure.is_met for figures in columns.values() for figure in figures) else 1)


async def _evaluate_world(
    directory: Path, seed: int, measure: Callable[[Measured], Awaitable[list[Figure]]]
) -> list[Figure]:
    companies = gold_table(generate_world(seed)).companies
    fitting = [company for company in companies if company.deliverable and (company.pms, company.state) == (PMS, STATE)]
    async with demo_services(directory, seed) as services:
        first, second = await _run(services), await _run(services)
        return await measure(Measured(services.conn, by_domain(companies), fitting, first, second))


async def _run(services: Services) -> UUID:
    options = StartOptions(
        criteria={"pms": PMS, "state": STATE},
        quantity=QUANTITY,
        contacts_max=3,
        on_decision=OnDecision.ACCEPT_PARTIAL,
    )
    request = build_request(options, services.settings)
    await start_run(services, request, None)
    run = await runs.get_run(services.conn, request.run_id)
    await services.client.get_workflow_handle(run.workflow_id).result()
    status = (await runs.get_run(services.conn, request.run_id)).status
    if status is not RunStatus.COMPLETED:
        raise RuntimeError(f"run {request.run_id} ended as {status}")
    return request.run_id


def _put(document: Path, name: str, text: str) -> None:
    begin, end = f"<!-- evals.{name}: begin -->", f"<!-- evals.{name}: end -->"
    before, found, rest = document.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise typer.BadParameter(f"{document} lacks the lines {begin} and {end}")
    document.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")
