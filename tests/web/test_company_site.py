"""Reading a company's own site on the demo web, compared with the world's own records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from domain.company.identity import normalized_phone
from local.demo.truth import GoldCompany, gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from pms.detect import detect_pms
from settings import Settings
from store.database import Database
from store.tools.tool_results import ToolResult
from tests.http_server import HttpServer, Reply, Request, html, serving
from web import page_retry
from web.company_site import HostBusyError, SiteReading, SiteUnavailableError, raise_if_unavailable, read_site
from web.fetch import WebClient, make_web_client
from web.gateway import ToolGateway

WORLD = generate_world(DEFAULT_SEED)
GOLD = gold_table(WORLD).companies


def some(wanted: Callable[[GoldCompany], bool], count: int = 3) -> list[GoldCompany]:
    """The first matching companies of the world."""
    found = [company for company in GOLD if company.domain and wanted(company)][:count]
    assert found
    return found


def named(company: GoldCompany) -> str:
    return company.domain or ""


def in_state(state: str) -> list[str]:
    """Websites whose company is in such a state of neglect."""
    return [company.website or "" for company in GOLD if state in company.traits and company.domain][:2]


async def read_at(
    proxy: HttpServer, database: Database, settings: Settings, url: str = "http://acme.example/"
) -> SiteReading:
    web = WebClient(proxy=proxy.url, timeout_s=2, bytes_max=100_000)
    try:
        return await read_site(ToolGateway(database, web, None, settings), url)
    finally:
        await web.close()


ALIVE = some(lambda company: company.deliverable, 8)


@pytest.mark.parametrize("company", ALIVE, ids=named)
async def test_an_own_site_gives_domain_office_phone_and_software(gateway: ToolGateway, company: GoldCompany) -> None:
    reading = await read_site(gateway, str(company.website))

    assert (reading.problem, reading.domain, reading.website) == (None, company.domain, company.website)
    assert reading.pages[0].final_url == reading.website
    assert (reading.detection.status, reading.detection.vendor) == (company.pms_status, company.pms)
    (place, evidence) = reading.places()[0]
    assert (place.city, place.state, place.zip) == (company.city, company.state, company.zip)
    cited = next(page for page in reading.pages if page.result_id == evidence.result_id)
    assert " ".join(evidence.quote.split()) in " ".join(cited.text.split())
    assert reading.office_phones == (normalized_phone(company.phone),), "no person's own number"


async def test_at_most_five_pages_of_a_site_are_read(gateway: ToolGateway) -> None:
    for company in ALIVE:
        reading = await read_site(gateway, str(company.website))
        assert 1 <= len(reading.pages) <= 5
        assert len({page.page_hash for page in reading.pages}) == len(reading.pages), "no page twice"


@pytest.mark.parametrize("company", some(lambda company: company.pms_status == "none", 2), ids=named)
async def test_no_software_is_concluded_only_from_pages_that_were_read(
    gateway: ToolGateway, company: GoldCompany
) -> None:
    reading = await read_site(gateway, str(company.website))
    assert reading.detection.status == "none"
    assert len(reading.pages) >= 2


@pytest.mark.parametrize("company", some(lambda company: "alias_redirect" in company.traits, 2), ids=named)
async def test_a_moved_domain_is_an_alias(gateway: ToolGateway, company: GoldCompany) -> None:
    for alias in company.alias_domains:
        reading = await read_site(gateway, f"http://{alias}/")
        assert (reading.domain, reading.aliases) == (company.domain, (alias,))


@pytest.mark.parametrize(
    ("state", "problem", "detail"),
    [
        ("parked", "no_site", "parked"),
        ("empty", "no_site", "no_text"),
        ("not_found", "no_site", "http_404"),
        ("robots_blocked", "blocked", "robots"),
    ],
)
async def test_a_site_that_cannot_be_read_has_unknown_software(
    gateway: ToolGateway, state: str, problem: str, detail: str
) -> None:
    for website in in_state(state):
        reading = await read_site(gateway, website)
        assert (reading.problem, reading.detail, reading.pages) == (problem, detail, ())
        assert (reading.detection.status, reading.detection.reason) == ("unknown", problem)


async def test_a_silent_site_costs_a_few_timeouts(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = WebClient(proxy=settings.web_proxy, timeout_s=0.5, bytes_max=100_000)
    gateway, site = ToolGateway(database, web, None, settings), in_state("silent")[0]
    with pytest.raises(SiteUnavailableError, match="timeout"):
        await read_site(gateway, site)
    monkeypatch.setattr(page_retry, "_ATTEMPTS_MAX", {"timeout": 2})
    async with database.transaction() as conn:
        await conn.execute("UPDATE tool_results SET expires_at = now()")
    reading = await read_site(gateway, site)
    await web.close()
    assert (reading.problem, reading.detail) == ("no_site", "timeout")


@pytest.mark.parametrize(
    ("link", "aliases"),
    [
        ("http://bit.ly/3xyz", ()),
        ("http://acme.weebly.com/", ()),
        ("http://sites.google.com/view/acme", ()),
        ("http://acme.wixsite.com/home", ("acme.wixsite.com",)),
        ("http://acme-old.example/", ("acme-old.example",)),
    ],
    ids=["a_shortener", "a_free_host", "a_free_host_of_a_search_engine", "a_name_of_its_own_there", "an_old_domain"],
)
async def test_a_shared_host_that_leads_to_a_site_is_no_alias(
    database: Database, settings: Settings, link: str, aliases: tuple[str, ...]
) -> None:
    def web_of(request: Request) -> Reply:
        if request.target.endswith("/robots.txt"):
            return Reply(404)
        return Reply(301, b"", {"location": "http://acme.example/"}) if request.target == link else html("<p>Acme</p>")

    async with serving(web_of) as proxy:
        reading = await read_at(proxy, database, settings, link)
    assert (reading.domain, reading.aliases) == ("acme.example", aliases)


async def test_a_site_that_refuses_us_is_blocked(database: Database, settings: Settings) -> None:
    async with serving(lambda request: Reply(403)) as proxy:
        reading = await read_at(proxy, database, settings)
    assert (reading.problem, reading.detail) == ("blocked", "http_403")
    assert reading.detection == detect_pms([], site_problem="blocked")


@pytest.mark.parametrize(
    ("is_home_known", "link"),
    [(False, ""), (True, '<a href="/owners">Owners</a>'), (True, '<a href="/contact">Contact us</a>')],
    ids=["home", "likely_page", "contact_page"],
)
async def test_a_rate_limit_timeout_of_a_page_is_no_verdict(
    database: Database, settings: Settings, is_home_known: bool, link: str
) -> None:
    website = "http://acme.example/"
    async with serving(lambda request: html(f"<p>We manage homes. {request.target}</p>{link}")) as proxy:
        web = WebClient(proxy=proxy.url, timeout_s=2, bytes_max=100_000)
        unpaced = ToolGateway(database, web, None, settings)
        if is_home_known:
            await unpaced.fetch_page(website)
        crowded = settings.model_copy(
            update={"web_proxy": proxy.url, "host_request_interval_s": 3600.0, "rate_limit_wait_max_s": 0.0}
        )
        slow_web = make_web_client(database, crowded)  # robots.txt takes the one start of this hour
        with pytest.raises(HostBusyError, match=r"acme\.example") as caught:
            await read_site(ToolGateway(database, slow_web, None, crowded), website)
        reading = await read_site(unpaced, website)
        await slow_web.close()
        await web.close()
    error = caught.value
    assert (error.type, error.non_retryable, error.next_retry_delay) == (
        "HostBusyError",
        False,
        timedelta(seconds=60),
    )
    assert (reading.problem, len(reading.pages)) == (None, 2 if link else 1)


def test_a_page_that_was_not_requested_raises() -> None:
    now = datetime.now(UTC)
    args = {"url": "http://acme.example/team"}
    asked = ToolResult(result_id="r1", tool="fetch_page", args=args, status="error", reason="http_404", fetched_at=now)
    raise_if_unavailable([asked])
    with pytest.raises(HostBusyError):
        raise_if_unavailable([asked, asked.model_copy(update={"reason": "rate_limit_timeout"})])


@pytest.mark.parametrize(
    ("text", "is_parked"),
    [
        ("This domain is for sale!", True),
        ("Website coming soon", True),
        ("This account has been suspended.", True),
        ("We manage homes in Austin.", False),
        ("Lot coming soon. " + "We manage homes in Austin. " * 5, False),
        ("Buy this domain? No: we manage homes. " + "Our team looks after your house. " * 60, False),
    ],
)
async def test_a_page_is_parked_when_it_says_little_else(
    database: Database, settings: Settings, text: str, is_parked: bool
) -> None:
    async with serving(lambda request: html(f"<p>{text}</p>")) as proxy:
        reading = await read_at(proxy, database, settings)
    assert (reading.detail == "parked") is is_parked
