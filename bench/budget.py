"""Does a run ever spend more than its limit? ``python -m bench.budget [--runs 200] [--seed 1]``.

Simulated runs, each drawn by hypothesis: its limits, how many conversations, on how many workers, where each attempt dies (before
or after any of its transactions commits, or while its call is under way), which conversation is worked on twice at once, and how the
model fails. The agent loop, the reservations in Postgres and the HTTP are the production code; the model is the demo's behind
a till (``budget_model.py``). Prints Markdown; exits 1 when the till holds more than a limit allowed, when it holds more than what the
run says it has spent, or when a run whose limits were raised did not come to its end.
"""

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, get_args

import httpx2
import typer
from hypothesis import HealthCheck, Phase, given
from hypothesis import seed as drawn_with
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bench.budget_model import MODEL, UNCHARGED, Fault, MeteredModel, serving
from bench.budget_runs import Bench, Case, Death, MortalDatabase, Outcome
from runtime.local_session import local_session, stack_options
from runtime.process import leave, run_async
from search.searxng import SearxngSearch
from settings import Settings
from web.fetch import WebClient
from web.gateway import ToolGateway

_WORKERS_MAX = 3
_MODEL_TIMEOUT_S = 2.0
_POOL_MAX = 30
_RUNS_AT_ONCE = 6  # much of a run is waiting: for a claim of a dead attempt to end, for a call to time out
_FAULTS: tuple[Fault, ...] = get_args(Fault)

_cases = st.builds(
    Case,
    companies=st.lists(st.integers(0, 400), min_size=1, max_size=6, unique=True).map(tuple),
    workers=st.integers(1, _WORKERS_MAX),
    slots=st.integers(1, 4),
    max_cost_usd=st.none() | st.floats(0.004, 0.15).map(lambda usd: round(usd, 4)),
    max_model_calls=st.none() | st.integers(1, 10),
    raised_by=st.floats(1.2, 4.0),
    dearest=st.booleans(),
    deaths=st.lists(st.none() | st.builds(Death, at=st.integers(1, 14), committed=st.booleans()), max_size=8).map(
        tuple
    ),
    twice=st.lists(st.sampled_from([False, False, True]), max_size=8).map(tuple),
    faults=st.lists(st.sampled_from([*(["none"] * 6), *_FAULTS]), max_size=12).map(tuple),
).filter(lambda case: case.max_cost_usd is not None or case.max_model_calls is not None)


def report(outcomes: list[Outcome], seed: int, wall_s: float) -> str:
    """The figures as Markdown."""
    over = [problem for one in outcomes for problem in one.over]
    met = Counter(fault for one in outcomes for fault in one.met)
    used = sorted(one.used_of_limit for one in outcomes if one.used_of_limit is not None)
    exact = [one.exact for one in outcomes if one.exact is not None]
    again = sum(one.charged - one.answered_turns for one in outcomes)
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores, {len(outcomes)} runs (`--seed {seed}`), {wall_s:.0f} s.",
        "",
        "| figure | wanted | measured |",
        "|---|---|---|",
        f"| runs that were not as they must be | 0 | {sum(bool(one.over) for one in outcomes)} |",
        f"| runs that asked for a higher limit, and then came to their end | all |"
        f" {sum(one.asked and not one.over for one in outcomes)} of {sum(one.asked for one in outcomes)} |",
        f"| runs with every answer received, whose spend is exact to the last digit | all | {sum(exact)} of {len(exact)} |",
        f"| how often limits were raised | | {sum(one.raises for one in outcomes)} |",
        f"| calls charged, together | | {sum(one.charged for one in outcomes)}, ${sum(one.spent_usd for one in outcomes):.3f} |",
        f"| of these, without an answer that could be used | | {again} |",
        f"| most of a cost limit that was spent (half of the runs: more than) | ≤ 1 | {used[-1]:.3f} ({used[len(used) // 2]:.3f}) |"
        if used
        else "| most of a cost limit that was spent | ≤ 1 | |",
        f"| attempts that died | | {sum(one.deaths for one in outcomes)} |",
        f"| how calls failed (not charged: {', '.join(sorted(UNCHARGED))}) | |"
        f" {', '.join(f'{count} {fault}' for fault, count in sorted(met.items()))} |",
    ]
    return "\n".join([*lines, "", *(f"- {problem}" for problem in over)])


def main(
    count: Annotated[int, typer.Option("--runs", min=1, help="How many runs.")] = 200,
    seed: Annotated[int, typer.Option(help="What the runs are drawn with.")] = 1,
) -> None:
    """Run the benchmark and print its table as Markdown."""
    for name in Settings.model_fields:
        os.environ.pop(name.upper(), None)  # the demo alone is measured, whatever the caller has set
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pm-bench-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)  # so that Postgres's own system user gets to its data in there
        outcomes = run_async(_measured(Path(directory), count, seed))
    print(report(outcomes, seed, time.monotonic() - started))
    tested = any(one.asked for one in outcomes) and any(one.lost_turns for one in outcomes)
    raise typer.Exit(0 if tested and not any(one.over for one in outcomes) else 1)


async def _measured(directory: Path, count: int, seed: int) -> list[Outcome]:
    options = stack_options(Settings(_env_file=None, local_dir=directory / "local"), workers=0)
    model = MeteredModel()
    async with contextlib.AsyncExitStack() as stack:
        _, addresses = await stack.enter_async_context(local_session(options))
        settings = Settings(
            _env_file=None,
            openai_api_key=SecretStr("bench"),
            openai_base_url=await stack.enter_async_context(serving(model)),
            openai_model=MODEL,
            model_timeout_s=_MODEL_TIMEOUT_S,
            web_proxy=addresses.web_proxy,
        )
        web = WebClient(proxy=addresses.web_proxy, timeout_s=5.0, bytes_max=3_000_000)
        stack.push_async_callback(web.close)
        http = await stack.enter_async_context(httpx2.AsyncClient(timeout=10.0, trust_env=False))
        workers: list[tuple[MortalDatabase, ToolGateway]] = []
        for _ in range(_WORKERS_MAX):
            database = MortalDatabase(addresses.database_url, _POOL_MAX)
            await database.open()
            stack.push_async_callback(database.close)
            search = SearxngSearch(http, addresses.searxng_url or "")
            workers.append((database, ToolGateway(database, web, search, settings)))
        bench = Bench(settings, workers, model)
        stack.push_async_callback(bench.close)
        side_by_side = asyncio.Semaphore(_RUNS_AT_ONCE)

        async def run(case: Case) -> None:
            async with side_by_side:
                await bench.run(case)
            sys.stderr.write(f"\r{len(bench.outcomes)}/{count}")

        await asyncio.gather(*map(run, _drawn(count, seed)))
        return bench.outcomes


def _drawn(count: int, seed: int) -> list[Case]:
    drawn: list[Case] = []

    @drawn_with(seed)
    @hypothesis_settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=_cases)
    def each(case: Case) -> None:
        drawn.append(case)

    each()
    return drawn


if __name__ == "__main__":
    try:
        typer.run(main)
    except SystemExit as left:
        leave(left.code if isinstance(left.code, int) else 1)
