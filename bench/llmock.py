"""Is the pipeline a well-behaved client of a model that fails? ``python -m bench.llmock --program PATH``.

``llmock`` (PyPI, 0.2.2) is a model server that breaks on demand and judges its client: ``Retry-After`` ignored, what cannot succeed
tried again, storms of retries. It speaks the Responses API, so it takes the demo model's place on the embedded stack; the
web, the search and everything between are as always. Whole runs, one for each way to fail, on companies given as seeds, so that all
agents are asked. The verdict is llmock's own (``llmock report``). Prints Markdown; exits 1 on a FAIL, or when a run did not end.

It is no dependency of the project: install it anywhere (``python -m venv V && V/bin/pip install llmock``) and name its program.
"""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer
from pydantic import BaseModel, ConfigDict

from domain.company.pms_vendors import PmsVendor
from domain.imports.rows import Seed
from domain.request.decision import DecisionAction, DecisionReason
from domain.request.progress import ENDED, RunStatus
from local.demo.truth import GoldCompany, gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from local.processes import LOOPBACK, Child, ChildSpec, free_ports
from runtime.local_session import endpoints_of, local_session, stack_options
from runtime.logs import configure_logging
from runtime.process import UserError, leave, run_async
from runtime.services import Services, open_services
from settings import Settings
from store.companies import seeds
from store.runs import runs
from usecases.decide import send_decision
from usecases.start import StartOptions, build_request, start_run

_READY_TIMEOUT_S = 30.0
_POLL_S = 0.3
_RUN_MAX_S = 420.0
_OUTAGE_S = 45.0
_PATIENCE_S = 90.0
_NEVER_MEND = "400, 404, 422"


class Scenario(BaseModel):
    """One way to fail.

    Attributes:
        options: of ``llmock serve``.
        behaviors: queued before the run (``POST /_llmock/scenario``); one ``times=None`` lasts until ``lifted_after_s``.
        when_down: the answer to a run that asks since the model is down; None: it has to go on by itself or be told to retry
            when the behaviours are lifted.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    options: tuple[str, ...] = ()
    behaviors: tuple[dict[str, Any], ...] = ()
    lifted_after_s: float | None = None
    when_down: DecisionAction = DecisionAction.RETRY


class Verdict(BaseModel):
    """llmock's verdict on one run.

    Attributes:
        companies: how many it has delivered; one that was accepted as it was after a refusal may deliver none.
        faults: answers that were spoilt; the judge counts those that are errors, the bench the scripted words and tool calls.
        fails, warns: findings by code.
        asked: questions that the run put, by reason.
    """

    model_config = ConfigDict(frozen=True)

    scenario: str
    status: RunStatus
    companies: int
    passed: bool
    calls: int
    attempts: int
    faults: int
    fails: Counter[str]
    warns: Counter[str]
    asked: Counter[str]
    text: str

    @property
    def is_good(self) -> bool:
        """Whether the run ended, something was spoilt for it, and the judge found no fault with us."""
        return self.passed and self.status is RunStatus.COMPLETED and self.faults > 0


def _fail(status: int, times: int | None, **more: float) -> dict[str, Any]:
    return {"type": "fail", "status": status, "times": times, **more}


SCENARIOS = (
    Scenario(name="429 with Retry-After", behaviors=(_fail(429, 6, retry_after=3),)),
    Scenario(name="a quota of 30 requests a minute", options=("--rpm", "30")),
    Scenario(name="500, 502, 503, 529", behaviors=(_fail(500, 2), _fail(502, 2), _fail(503, 2), _fail(529, 2))),
    Scenario(
        name="a tenth each of 429, 500 and 503, at random",
        options=("--error-rate", "429=0.1", "--error-rate", "500=0.1", "--error-rate", "503=0.1"),
    ),
    Scenario(name=f"503 for {_OUTAGE_S:.0f} s", behaviors=(_fail(503, None),), lifted_after_s=_OUTAGE_S),
    Scenario(name=_NEVER_MEND, behaviors=(_fail(400, 2), _fail(404, 1), _fail(422, 2)), when_down=DecisionAction.ACCEPT_PARTIAL),
    Scenario(name="401", behaviors=(_fail(401, None),), when_down=DecisionAction.ACCEPT_PARTIAL),
    Scenario(name="prompts too long for the model", options=("--context-window", "20")),
    Scenario(
        name="output that is not what was asked for",
        behaviors=(
            {"type": "reply", "text": '{"companies": [', "times": 3},
            {"type": "reply", "text": "I am sorry, I can't.", "times": 3},
            {"type": "reply", "text": "", "times": 3},
        ),
    ),
    Scenario(
        name="broken tool calls",
        behaviors=(
            {"type": "tool_fault", "kind": "malformed_arguments", "times": 6},
            {"type": "tool_fault", "kind": "unknown_tool", "times": 6},
        ),
    ),
    Scenario(name="answers that take too long", behaviors=({"type": "delay", "seconds": 8, "times": 4},)),
)  # fmt: skip
_JUDGED = frozenset({"fail"})
_SETTINGS = {
    "OPENAI_API_KEY": "llmock",
    "OPENAI_MODEL": "gpt-5-mini",
    "MODEL_TIMEOUT_S": "5",
    # What one run has read is no answer for the next: each has to ask.
    "KNOWN_COMPANY_DAYS": "0",
    "KNOWN_CONTACTS_DAYS": "0",
    "SEARCH_TTL_HOURS": "0",
}


def main(
    program: Annotated[str, typer.Option(help="The program `llmock`, where it is not on the PATH.")] = "llmock",
    only: Annotated[list[int] | None, typer.Option(help="Numbers of scenarios, from 1; by default all.")] = None,
) -> None:
    """Run the benchmark and print its table as Markdown."""
    found = shutil.which(program)
    if found is None:
        raise typer.BadParameter(f"there is no program {program}: pip install llmock, into an environment of its own")
    for name in Settings.model_fields:
        os.environ.pop(name.upper(), None)  # nothing that the caller has set is measured
    configure_logging(Settings(_env_file=None, log_level="error"))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # however it was started, it reports as far as it got
    chosen = [SCENARIOS[number - 1] for number in only] if only else list(SCENARIOS)
    verdicts: list[Verdict] = []
    started = time.monotonic()
    interrupted = False
    try:
        with tempfile.TemporaryDirectory(prefix="pm-bench-", ignore_cleanup_errors=True) as directory:
            Path(directory).chmod(0o711)  # so that Postgres's own system user gets to its data in there
            run_async(_measure(verdicts, chosen, Path(directory), found))
    except KeyboardInterrupt:
        interrupted = True
    finally:
        print(report(verdicts, time.monotonic() - started))
    good = bool(verdicts) and all(one.is_good for one in verdicts)
    raise typer.Exit(130 if good and interrupted else 0 if good else 1)


def report(verdicts: list[Verdict], wall_s: float) -> str:
    """The verdicts as Markdown, and llmock's words on every run with a finding."""
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores, {len(verdicts)} runs, {wall_s:.0f} s.",
        "",
        "| the model | the run | companies | calls | attempts | faults | FAIL | WARN | asked |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in verdicts:
        ended = one.status.value if one.status is RunStatus.COMPLETED else f"**{one.status.value}**"
        fails = f"**{_counted(one.fails)}**" if one.fails else "0"
        faults = str(one.faults) if one.faults else "**0**"
        lines.append(
            f"| {one.scenario} | {ended} | {one.companies} | {one.calls} | {one.attempts} | {faults} | {fails}"
            f" | {_counted(one.warns)} | {_counted(one.asked)} |"
        )
    for one in verdicts:
        if one.fails:
            lines += ["", f"{one.scenario}:", "", "```", one.text.strip(), "```"]
    return "\n".join(lines) + "\n"


async def _measure(verdicts: list[Verdict], scenarios: list[Scenario], directory: Path, program: str) -> None:
    port = free_ports(1)[0]
    settings = Settings(_env_file=None, local_dir=directory / "local")
    options = stack_options(settings).model_copy(
        update={"demo_model": False, "extra_env": {**_SETTINGS, "OPENAI_BASE_URL": f"http://{LOOPBACK}:{port}/v1"}}
    )
    async with (
        local_session(options) as (_, addresses),
        open_services(settings, endpoints_of(addresses)) as services,
        httpx2.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", trust_env=False) as llmock,
    ):
        companies = _fitting()
        await _give_seeds(services, companies)
        criteria = {"pms": "Buildium", "state": "TX", "city": companies[0].city}
        options_of_run = StartOptions(criteria=criteria, quantity=len(companies))
        for scenario in scenarios:
            sys.stderr.write(f"{scenario.name} …\n")
            child = _llmock(program, port, scenario, directory)
            try:
                verdicts.append(await _judged(services, options_of_run, scenario, llmock, child, program))
            finally:
                await child.stop()


def _llmock(program: str, port: int, scenario: Scenario, directory: Path) -> Child:
    spec = ChildSpec(
        name="llmock",
        command=(program, "serve", "--port", str(port), "--log-level", "warning", *scenario.options),
        environment={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(directory)},
        cwd=directory,
        log_path=directory / "llmock.log",
        grace_s=5.0,
    )
    return Child(spec)


async def _judged(
    services: Services,
    wanted: StartOptions,
    scenario: Scenario,
    llmock: httpx2.AsyncClient,
    child: Child,
    program: str,
) -> Verdict:
    async def missing() -> str | None:
        try:
            return None if (await llmock.get("/health")).is_success else "its health is not well"
        except httpx2.TransportError as error:
            return f"no answer ({type(error).__name__})"

    await child.wait_until_ready(missing, _READY_TIMEOUT_S)
    if scenario.behaviors:
        (await llmock.post("/_llmock/scenario", json={"behaviors": list(scenario.behaviors)})).raise_for_status()
    status, companies, asked = await _run(services, wanted, scenario, llmock)
    answer = (await llmock.get("/_llmock/verdict")).raise_for_status().json()
    process = await asyncio.create_subprocess_exec(
        program, "report", "--url", str(llmock.base_url).rstrip("/"), stdout=asyncio.subprocess.PIPE
    )
    words, _ = await process.communicate()
    pending = (await llmock.get("/_llmock/scenario")).raise_for_status().json()["pending"]
    scripted = 0 if pending else sum(each["times"] or 0 for each in scenario.behaviors if each["type"] not in _JUDGED)
    findings = [(each["severity"], each["code"]) for each in answer["findings"]]
    return Verdict(
        scenario=scenario.name,
        status=status,
        companies=companies,
        passed=process.returncode == 0,
        calls=answer["calls"],
        attempts=answer["attempts"],
        faults=answer["faults_injected"] + scripted,
        fails=Counter(code for severity, code in findings if severity == "error"),
        warns=Counter(code for severity, code in findings if severity != "error"),
        asked=asked,
        text=words.decode(errors="replace"),
    )


async def _run(
    services: Services, wanted: StartOptions, scenario: Scenario, llmock: httpx2.AsyncClient
) -> tuple[RunStatus, int, Counter[str]]:
    """A whole run: how it ended (or stands, when it takes too long), how many companies it has delivered, and what it asked."""
    request = build_request(wanted, services.settings)
    await start_run(services, request, None)
    started = time.monotonic()
    is_lifted = scenario.lifted_after_s is None
    asked: dict[str, tuple[str, float]] = {}
    while (run := await runs.get_run(services.conn, request.run_id)).status not in ENDED:
        waited_s = time.monotonic() - started
        if waited_s > _RUN_MAX_S:
            break
        if not is_lifted and scenario.lifted_after_s is not None and waited_s > scenario.lifted_after_s:
            (await llmock.delete("/_llmock/scenario")).raise_for_status()
            is_lifted = True
        if run.status is RunStatus.NEEDS_USER_DECISION and run.decision is not None:
            question = run.decision
            _, since_s = asked.setdefault(question.decision_id, (question.reason.value, waited_s))
            is_down = question.reason is DecisionReason.DEPENDENCY_DOWN
            # A run that waits for a model which answers again goes on by itself; a person who waits in vain answers at last.
            is_due = scenario.when_down is not DecisionAction.RETRY or waited_s - since_s > _PATIENCE_S
            if not is_down or (is_lifted and is_due):
                action = scenario.when_down if is_down else DecisionAction.ACCEPT_PARTIAL
                with suppress(UserError):  # the run has gone on by itself since the row was read
                    await send_decision(services, run, {"action": action.value})
        await asyncio.sleep(_POLL_S)
    return run.status, len(run.selected or ()), Counter(reason for reason, _ in asked.values())


def _fitting() -> list[GoldCompany]:
    """Companies of one city: a model that names none finds none, and a state's searches would take minutes."""
    gold = gold_table(generate_world(DEFAULT_SEED)).companies
    fitting = [
        one for one in gold if one.deliverable and (one.pms, one.state) == ("Buildium", "TX") and one.portal_slug
    ]
    [(city, _)] = Counter(one.city for one in fitting).most_common(1)
    return [one for one in fitting if one.city == city]


async def _give_seeds(services: Services, companies: list[GoldCompany]) -> None:
    given = [
        Seed(
            vendor=PmsVendor.BUILDIUM,
            slug=str(one.portal_slug),
            company_name=one.name,
            city=one.city,
            state=one.state,
            website=one.website,
        )
        for one in companies
    ]
    async with services.conn.transaction():
        await seeds.fill_staging_table(services.conn, given, "bench")
        await seeds.merge_staging_table(services.conn)


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{number} × {name}" for name, number in sorted(counter.items())) or "0"


if __name__ == "__main__":
    try:
        typer.run(main)
    except SystemExit as left:
        leave(left.code if isinstance(left.code, int) else 1)
