"""Does a run ever spend more than its limit? ``python -m bench.budget [--runs 200] [--seed 1]``.

Hypothesis draws simulated runs: limits, conversations, workers, where attempts die (before or after a commit, or during a call), which
conversation is worked on twice at once, and how the model fails. The agent loop, the reservations in Postgres and the HTTP are the
production code. The model is the demo's behind a till (``budget_model.py``).
"""

import asyncio
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, get_args

import httpx2
import typer
from hypothesis import strategies as st
from pydantic import SecretStr

from bench.budget_model import MODEL, UNCHARGED, Fault, MeteredModel, serve
from bench.budget_runs import Bench, Case, Death, MortalDatabase, SimulatedRun
from evals.figures import Figure, all_of, none_of, report
from evals.harness import command, draw, stack_directory
from runtime.local_session import local_session, stack_options
from runtime.process import run_async
from search.searxng import SearxngSearch
from settings import Settings
from web.fetch import WebClient
from web.gateway import ToolGateway

_WORKERS_MAX = 3
_MODEL_TIMEOUT_S = 2.0
_POOL_MAX = 30
_RUNS_AT_ONCE = 6  # a run mostly waits: for the claim of a dead attempt, or for a call to time out

_cases = st.builds(
    Case,
    companies=st.lists(st.integers(0, 400), min_size=1, max_size=6, unique=True),
    workers=st.integers(1, _WORKERS_MAX),
    slots=st.integers(1, 4),
    max_cost_usd=st.none() | st.floats(0.004, 0.15).map(lambda usd: round(usd, 4)),
    max_model_calls=st.none() | st.integers(1, 10),
    raised_by=st.floats(1.2, 4.0),
    dearest=st.booleans(),
    deaths=st.lists(st.none() | st.builds(Death, at=st.integers(1, 14), committed=st.booleans()), max_size=8),
    twice=st.lists(st.sampled_from([False, False, True]), max_size=8),
    faults=st.lists(st.sampled_from([*(["none"] * 6), *get_args(Fault)]), max_size=12),
).filter(lambda case: case.max_cost_usd is not None or case.max_model_calls is not None)


def main(
    count: Annotated[int, typer.Option("--runs", min=1, help="How many runs.")] = 200,
    seed: Annotated[int, typer.Option(help="What the runs are drawn with.")] = 1,
) -> None:
    """Run the benchmark and print its table. Exits 1 when a target is missed, or nothing was tested."""
    started_s = time.monotonic()
    with stack_directory() as directory:
        runs = run_async(_measure(directory, draw(_cases, count, seed)))
    how = f"{len(runs)} runs (`--seed {seed}`), {time.monotonic() - started_s:.0f} s"
    code = report(_figures(runs), how)
    tested = any(run.raises for run in runs) and any(run.is_exact is None for run in runs)
    raise typer.Exit(code if tested else 1)


def _figures(runs: list[SimulatedRun]) -> list[Figure]:
    asked = [run for run in runs if run.raises]
    known = [run for run in runs if run.is_exact is not None]
    used = max((run.till.spent_usd / run.limits.max_cost_usd for run in runs if run.limits.max_cost_usd), default=0.0)
    met = Counter(fault for run in runs for fault in run.till.met if fault != "none")
    charged, spent_usd = sum(run.till.charged for run in runs), sum(run.till.spent_usd for run in runs)
    return [
        none_of("broken promises", [problem for run in runs for problem in run.problems]),
        all_of(
            "runs that asked for a higher limit, and then ended", sum(not run.problems for run in asked), len(asked)
        ),
        all_of(
            "runs with every answer received, whose spend is exact to the last digit",
            sum(run.is_exact is True for run in known),
            len(known),
        ),
        Figure("most of a cost limit that was spent", f"{used:.3f}", "≤ 1", used <= 1),
        Figure("calls charged", f"{charged}, ${spent_usd:.3f}"),
        Figure("attempts that died", str(sum(run.deaths for run in runs))),
        Figure(
            f"how calls failed (not charged: {', '.join(sorted(UNCHARGED))})",
            ", ".join(f"{times} {fault}" for fault, times in sorted(met.items())),
        ),
    ]


async def _measure(directory: Path, cases: list[Case]) -> list[SimulatedRun]:
    options = stack_options(Settings(_env_file=None, local_dir=directory / "local"), workers=0)
    model = MeteredModel()
    async with AsyncExitStack() as stack:
        _, addresses = await stack.enter_async_context(local_session(options))
        settings = Settings(
            _env_file=None,
            openai_api_key=SecretStr("bench"),
            openai_base_url=await stack.enter_async_context(serve(model)),
            openai_model=MODEL,
            model_timeout_s=_MODEL_TIMEOUT_S,
            web_proxy=addresses.web_proxy,
        )
        web = WebClient(proxy=addresses.web_proxy, timeout_s=5.0, bytes_max=3_000_000)
        stack.push_async_callback(web.close)
        http = await stack.enter_async_context(httpx2.AsyncClient(timeout=10.0, trust_env=False))
        search = SearxngSearch(http, addresses.searxng_url or "")
        workers: list[tuple[MortalDatabase, ToolGateway]] = []
        for _ in range(_WORKERS_MAX):
            database = MortalDatabase(addresses.database_url, _POOL_MAX)
            await database.open()
            stack.push_async_callback(database.close)
            workers.append((database, ToolGateway(database, web, search, settings)))
        bench = Bench(settings, workers, model)
        await stack.enter_async_context(bench.client)
        runs = [SimulatedRun(bench, case) for case in cases]
        side_by_side = asyncio.Semaphore(_RUNS_AT_ONCE)

        async def execute(run: SimulatedRun) -> None:
            async with side_by_side:
                await run.run()
            print(".", end="", file=sys.stderr, flush=True)

        await asyncio.gather(*map(execute, runs))
        return runs


if __name__ == "__main__":
    command(main)
