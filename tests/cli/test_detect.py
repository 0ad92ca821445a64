"""``starter.py detect`` on the demo web, checked against the demo's own records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli.detect import verdicts_table
from local.demo.truth import GoldCompany, gold_table
from local.demo.world import DEFAULT_SEED, generate_world
from runtime.process import UserError
from store.tools.tool_results import ToolResult
from tests.conftest import PROJECT, DemoServers
from tests.http_server import Reply, Request, html, serving
from usecases.detect_sites import Sighting, SiteVerdict, checked_urls, detect_sites
from web.fetch import FetchedPage, WebClient

GOLD = gold_table(generate_world(DEFAULT_SEED)).companies


def first(wanted: Callable[[GoldCompany], bool]) -> GoldCompany:
    return next(company for company in GOLD if company.website and wanted(company))


DETECTED = first(lambda company: company.pms == "Buildium" and company.deliverable)
NONE = first(lambda company: company.pms_status == "none" and company.deliverable)
CONFLICT = first(lambda company: company.pms_status == "conflict")
UNCONFIRMED = first(lambda company: "weak_pms_signal" in company.traits)
PARKED = first(lambda company: "parked" in company.traits)
GONE = first(lambda company: "not_found" in company.traits)
KEPT_OUT = first(lambda company: "robots_blocked" in company.traits)


def run(demo: DemoServers, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """The command as a process, with no setting but the web proxy: no database, no Temporal."""
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "WEB_PROXY": demo.web_proxy}
    command = [sys.executable, "starter.py", "detect", *words]
    return subprocess.run(
        command, cwd=PROJECT, env=environment, input=given, check=False, capture_output=True, text=True, timeout=60
    )


def test_every_site_of_a_file_gets_its_verdict_in_order(demo: DemoServers, tmp_path: Path) -> None:
    companies = [DETECTED, PARKED, NONE, GONE, CONFLICT, KEPT_OUT, UNCONFIRMED]
    sites = tmp_path / "sites.txt"
    sites.write_text("# from the CRM\n\n" + "\n".join(str(company.website) for company in companies), encoding="utf-8")

    done = run(demo, "--file", str(sites), "--json", "--concurrency", "3")

    assert (done.returncode, done.stderr) == (0, "")
    found: list[dict[str, Any]] = json.loads(done.stdout)["sites"]
    assert [site["url"] for site in found] == [company.website for company in companies]
    assert [(site["status"], site["reason"], site["detail"]) for site in found] == [
        ("detected", None, ""),
        ("unknown", "no_site", "parked"),
        ("none", None, ""),
        ("unknown", "no_site", "http_404"),
        ("conflict", None, ""),
        ("unknown", "blocked", "robots"),
        ("unknown", "unconfirmed", ""),
    ]
    detected, conflict = found[0], found[4]
    assert (detected["vendor"], detected["account"], detected["confidence"]) == (
        "Buildium",
        DETECTED.portal_slug,
        "high",
    )
    assert [seen["product"] for seen in detected["evidence"]] == ["Buildium"]
    assert f"//{DETECTED.portal_host}" in detected["evidence"][0]["words"]
    assert detected["evidence"][0]["url"] in detected["pages"]
    assert 2 <= len(detected["pages"]) <= 4, "the home page and up to three likely pages"
    assert {seen["product"] for seen in conflict["evidence"]} == set(CONFLICT.pms_candidates)


def test_a_person_reads_a_table(demo: DemoServers) -> None:
    done = run(demo, str(DETECTED.domain))
    assert (done.returncode, done.stderr) == (0, "")
    assert "detected" in done.stdout
    assert "Buildium" in done.stdout


def test_a_bad_address_exits_with_2() -> None:
    nowhere = DemoServers(web_proxy="http://127.0.0.1:9", searxng_url="", openai_base_url="", seed=0)
    done = run(nowhere, str(DETECTED.website), "http://127.0.0.1/admin", "ftp://acme.example")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'http://127.0.0.1/admin' (not on the public web)" in done.stderr
    assert "'ftp://acme.example' (neither http nor https)" in done.stderr
    assert str(DETECTED.website) not in done.stderr, "good addresses are not named"


def test_an_unreadable_file_exits_with_2(demo: DemoServers) -> None:
    done = run(demo, "--file", "no-such-file.txt", "--json")
    assert (done.returncode, done.stderr) == (2, "")
    assert "no-such-file.txt" in json.loads(done.stdout)["error"]


def test_urls_are_unique_and_may_be_bare_names() -> None:
    assert checked_urls(["acme.example", "http://acme.example", "https://b.example/x"]) == [
        "http://acme.example",
        "https://b.example/x",
    ]
    with pytest.raises(UserError, match="no address is given"):
        checked_urls([])


async def test_concurrency_is_limited() -> None:
    open_now = most = 0

    class Counting(WebClient):
        async def fetch(self, url: str, cached: ToolResult | None = None) -> FetchedPage:
            nonlocal open_now, most
            open_now += 1
            most = max(most, open_now)
            try:
                return await super().fetch(url)
            finally:
                open_now -= 1

    def answer(request: Request) -> Reply:
        return Reply(status=404) if request.target.endswith("/robots.txt") else html("<p>Homes</p>", server="test")

    async with serving(answer) as server:
        web = Counting(proxy=server.url, timeout_s=5.0, bytes_max=100_000)
        verdicts = await detect_sites(web, [f"http://site{number}.example/" for number in range(9)], concurrency=3)
        await web.close()
    assert [verdict.reason for verdict in verdicts] == ["no_portal_link"] * 9
    assert most == 3


async def test_an_unexpected_error_does_not_stop_the_others(demo_web: WebClient) -> None:
    class Failing(WebClient):
        async def fetch(self, url: str, cached: ToolResult | None = None) -> FetchedPage:
            if "bad.example" in url:
                raise KeyError(url)
            return await demo_web.fetch(url)

    web = Failing(proxy=None, timeout_s=1.0, bytes_max=1)
    bad, good = await detect_sites(web, ["http://bad.example/", str(DETECTED.website)], concurrency=2)
    await web.close()
    assert (bad.status, bad.failure) == (None, "KeyError")
    assert (good.status, good.vendor) == ("detected", "Buildium")


async def test_a_vendors_own_page_is_not_a_companys_site(demo_web: WebClient) -> None:
    [verdict] = await detect_sites(demo_web, ["https://www.buildium.com/"], concurrency=1)
    assert (verdict.status, verdict.reason, verdict.detail) == ("unknown", "no_site", "vendor_site")


def test_page_text_cannot_control_the_terminal() -> None:
    seen = Sighting(product="Buildium", kind="text", url="http://a.example/", words="[red]x[/nope]\x1b[2Jy")
    verdict = SiteVerdict(url="http://a.example/", status="unknown", reason="unconfirmed", evidence=(seen,))
    with (console := Console(width=200, force_terminal=True)).capture() as shown:
        console.print(verdicts_table([verdict]))
    assert "[red]x[/nope][2Jy" in shown.get()
    assert "\x1b[2J" not in shown.get()
