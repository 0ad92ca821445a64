"""A site that fails for a moment loses no company: the activity is retried, and only its last attempt concludes.

Each attempt is another worker's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from activities.contacts import ContactActivities
from activities.qualify import QualificationActivities
from domain.activity_io import CompanyInput, CompanyOutcome, CompanyRef
from domain.company.facts import CompanyFacts
from domain.company.status import CompanyStatus, ReasonCode
from settings import Settings
from store.companies import companies
from store.companies.companies import SitePageRef
from store.database import Database
from tests.activities.environment import activity_environment
from tests.agents.scripted_model import Model, says, scripted
from tests.http_server import Reply, Request, html, serving
from tests.store.rows import add_company, add_run, candidate
from web import page_retry, robots
from web.company_site import SiteUnavailableError
from web.fetch import WebClient
from web.gateway import ToolGateway
from workflows.policies import SITE

SITE_URL = "http://acme.example"
HOME = f"{SITE_URL}/"
POLICY = SITE["retry_policy"]
assert POLICY is not None
LAST = POLICY.maximum_attempts
PORTAL = '<a href="https://acme.managebuilding.com/Resident/portal">Pay rent</a>'  # two pages must agree on it
PAGES = {
    HOME: '<title>Acme Homes</title><p>We manage homes.</p><a href="/tenants">Tenants</a> <a href="/team">Our team</a>'
    f' <a href="/contact">Contact us</a> {PORTAL}',
    f"{SITE_URL}/tenants": f"<p>Pay here.</p>{PORTAL}",
    f"{SITE_URL}/contact": "<p>1 Main Street, Austin, TX 78701</p>",
    f"{SITE_URL}/team": "<p>Jane Doe, Owner</p>",
}


@dataclass
class Web:
    """A site whose pages fail as often as ``fails`` says."""

    url: str = ""
    fails: dict[str, int] = field(default_factory=dict)
    failure: Reply | None = None
    asked: Counter[str] = field(default_factory=Counter)

    def answer(self, request: Request) -> Reply:
        self.asked[request.target] += 1
        if self.asked[request.target] <= self.fails.get(request.target, 0):
            if self.failure is None:
                raise ConnectionResetError  # the server hangs up without a word
            return self.failure
        return html(PAGES[request.target]) if request.target in PAGES else Reply(404)


@pytest.fixture
async def web(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Web]:
    monkeypatch.setattr(page_retry, "_PAUSES_S", (0.05, 0.05, 0.05))
    monkeypatch.setattr(robots, "UNREACHABLE_TTL_S", 0.0)
    web = Web(failure=Reply(503))
    async with serving(web.answer) as server:
        web.url = server.url
        yield web


@asynccontextmanager
async def new_worker(database: Database, settings: Settings, web: Web) -> AsyncIterator[ToolGateway]:
    client = WebClient(proxy=web.url, timeout_s=0.5, bytes_max=100_000)
    yield ToolGateway(database, client, None, settings)
    await client.close()


async def run(work: Callable[[CompanyInput], Any], params: CompanyInput, attempt: int) -> CompanyOutcome:
    environment = activity_environment(attempt)
    environment.info = replace(environment.info, retry_policy=POLICY)
    outcome: CompanyOutcome = await environment.run(work, params)
    return outcome


@pytest.fixture
async def params(database: Database) -> CompanyInput:
    async with database.transaction() as conn:
        request = await add_run(conn)
        await companies.insert_candidate(conn, request.run_id, None, 0, candidate("Acme Homes", url=HOME))
        [ref], _ = await companies.list_open_after(conn, request.run_id, 0, 1)
    return CompanyInput(request=request, company=ref)


async def qualify(
    database: Database, settings: Settings, web: Web, params: CompanyInput, attempt: int
) -> CompanyOutcome:
    async with new_worker(database, settings, web) as gateway:
        return await run(QualificationActivities(database, gateway, settings).qualify_company, params, attempt)


@pytest.mark.parametrize(
    ("address", "failure"),
    [
        (HOME, Reply(503)),
        (HOME, Reply(429)),
        (HOME, None),
        (HOME, Reply(after_s=30)),
        (f"{HOME}robots.txt", Reply(500)),
        (f"{HOME}robots.txt", None),
        (f"{SITE_URL}/tenants", Reply(502)),
        (f"{SITE_URL}/contact", None),
    ],
    ids=["503", "429", "reset", "hang", "robots_500", "robots_reset", "likely_page", "contact_page"],
)
async def test_a_page_that_fails_once_is_read_by_the_next_attempt(
    database: Database, settings: Settings, web: Web, params: CompanyInput, address: str, failure: Reply | None
) -> None:
    web.fails, web.failure = {address: 1}, failure

    with pytest.raises(SiteUnavailableError, match=r"acme\.example") as caught:
        await qualify(database, settings, web, params, 1)
    assert (caught.value.non_retryable, caught.value.next_retry_delay is not None) == (False, True)

    assert (await qualify(database, settings, web, params, 2)).status is CompanyStatus.FOUND
    async with database.transaction() as conn:
        research = await companies.get_research(conn, params.company.company_id)
    assert research is not None and research.facts.pms == "Buildium", "the whole site was read"
    assert [place.city for place in research.facts.places] == ["Austin"]
    pages = {target: times for target, times in web.asked.items() if not target.endswith("robots.txt")}
    read = (HOME, f"{SITE_URL}/tenants", f"{SITE_URL}/contact")
    assert pages == {page: 1 + (page == address) for page in read}, "read pages are cached"


@pytest.mark.parametrize(
    ("address", "reason"),
    [(HOME, ReasonCode.SITE_DEAD), (f"{HOME}robots.txt", ReasonCode.SITE_BLOCKED)],
    ids=["dead", "blocked"],
)
async def test_only_the_last_attempt_gives_up_a_site(
    database: Database, settings: Settings, web: Web, params: CompanyInput, address: str, reason: ReasonCode
) -> None:
    web.fails = {address: 99}
    for attempt in range(1, LAST):
        with pytest.raises(SiteUnavailableError):
            await qualify(database, settings, web, params, attempt)
    outcome = await qualify(database, settings, web, params, LAST)
    assert (outcome.status, outcome.reason) == (CompanyStatus.REJECTED, reason)
    assert web.asked[address] == LAST + 1, "the last attempt asks twice"
    async with database.transaction() as conn:
        twin = candidate("Acme Rentals", url=HOME, key="twin")
        await companies.insert_candidate(conn, params.request.run_id, None, 1, twin)
        refs, _ = await companies.list_open_after(conn, params.request.run_id, 0, 9)
    outcome = await qualify(database, settings, web, params.model_copy(update={"company": refs[-1]}), 1)
    assert outcome.reason is reason, "another company does not retry the same site"
    assert web.asked[address] == LAST + 1 or address != HOME


@pytest.fixture
async def qualified(database: Database) -> CompanyInput:
    """A company whose site was read."""
    pages = [SitePageRef(url=HOME, title="Acme Homes")]
    async with database.transaction() as conn:
        request = await add_run(conn)
        company_id = await add_company(conn, request.run_id, "Acme Homes")
        await companies.set_own_site(conn, company_id, "acme.example", HOME, [])
        await companies.save_research(
            conn, request.run_id, company_id, CompanyFacts(), [], None, pages=pages, dropped=None, researched=True
        )
    return CompanyInput(request=request, company=CompanyRef(company_id=company_id, position=0))


async def find(
    database: Database, settings: Settings, web: Web, model: Model, params: CompanyInput, attempt: int
) -> CompanyOutcome:
    async with new_worker(database, settings, web) as gateway:
        activities = ContactActivities(database, gateway, model.new_worker(), settings)
        return await run(activities.find_contacts, params, attempt)


async def test_a_team_page_that_fails_once_is_shown_later(
    database: Database, settings: Settings, web: Web, qualified: CompanyInput
) -> None:
    web.fails = {f"{SITE_URL}/team": 1}
    async with (
        new_worker(database, settings, web) as own,
        scripted(database, own, settings, says({"people": []})) as model,
    ):
        with pytest.raises(SiteUnavailableError):
            await find(database, settings, web, model, qualified, 1)
        assert model.bought == 0, "no model reads half a site"
        await find(database, settings, web, model, qualified, 2)
        assert [page["url"] for page in model.tool_outputs(0)] == [HOME, f"{SITE_URL}/team", f"{SITE_URL}/contact"]


async def test_the_last_attempt_goes_on_without_a_team_page(
    database: Database, settings: Settings, web: Web, qualified: CompanyInput
) -> None:
    web.fails = {f"{SITE_URL}/team": 99}
    async with (
        new_worker(database, settings, web) as own,
        scripted(database, own, settings, says({"people": []})) as model,
    ):
        outcome = await find(database, settings, web, model, qualified, LAST)
        assert (outcome.contacts, model.bought) == (0, 1)
        assert [page["url"] for page in model.tool_outputs(0)] == [HOME, f"{SITE_URL}/contact"]
