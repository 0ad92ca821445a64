"""The running demo over real sockets: the proxy, the search endpoint, the command line."""

from __future__ import annotations

import csv
import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from local.demo.entities import World
from local.demo.listpages import GUIDE_HOSTS
from local.demo.truth import GoldCompany
from local.demo.world import DEFAULT_SEED
from tests.local.demo_helpers import ROOT, gold_of, running_demo, world_of

HEADER = f"seed={DEFAULT_SEED}"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with running_demo(tmp_path_factory.mktemp("demo")) as addresses:
        yield addresses


@pytest.fixture
def world() -> World:
    return world_of(DEFAULT_SEED)


def company_with(trait: str) -> GoldCompany:
    return next(c for c in gold_of(DEFAULT_SEED).companies if trait in c.traits)


def client(demo: dict[str, str], timeout_s: float = 10) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(proxy=demo["web_proxy"], timeout=timeout_s, trust_env=False)


async def search(demo: dict[str, str], **params: str) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False) as http:
        return await http.get(f"{demo['searxng_url']}/search", params=params)


async def test_pages_are_served_as_made_and_marked_as_demo(demo: dict[str, str], world: World) -> None:
    company = next(c for c in gold_of(DEFAULT_SEED).companies if c.deliverable)
    async with client(demo) as http:
        for path, page in world.sites[company.domain or ""].pages.items():
            answer = await http.get(f"http://www.{company.domain}{path}")
            assert (answer.status_code, answer.text) == (200, page.html)
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert answer.headers["x-demo-world"] == HEADER
            assert answer.headers["last-modified"].endswith("GMT")


async def test_an_unchanged_page_is_304(demo: dict[str, str]) -> None:
    company = next(c for c in gold_of(DEFAULT_SEED).companies if c.deliverable)
    async with client(demo) as http:
        first = await http.get(company.website or "")
        again = await http.get(company.website or "", headers={"If-None-Match": first.headers["etag"]})
        head = await http.head(company.website or "")
    assert (again.status_code, again.content) == (304, b"")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == first.headers["content-length"]


async def test_directory_pages_link_to_the_next_and_end(demo: dict[str, str]) -> None:
    url = f"http://{GUIDE_HOSTS['TX']}/texas/property-managers"
    async with client(demo) as http:
        pages = [await http.get(url)]
        while 'rel="next"' in pages[-1].text:
            pages.append(await http.get(f"{url}?page={len(pages) + 1}"))
        beyond = await http.get(f"{url}?page={len(pages) + 1}")
    assert len({page.text for page in pages}) == len(pages) >= 5
    assert all(10 <= page.text.count("<li>") <= 50 for page in pages)
    assert beyond.status_code == 404


async def test_names_outside_the_world_are_502(demo: dict[str, str]) -> None:
    async with client(demo) as http:
        for url in ("http://buildium.com/", "http://nosuchfirm.example/", "http://127.0.0.1/"):
            answer = await http.get(url)
            assert answer.status_code == 502
            assert "not in the demo world" in answer.text
            assert answer.headers["proxy-status"] == "demo; error=dns_error"
            assert answer.headers["x-demo-world"] == HEADER


async def test_https_is_refused_at_once(demo: dict[str, str]) -> None:
    async with client(demo) as http:
        with pytest.raises(httpx2.ProxyError, match="501"):
            await http.get("https://lonestarpmguide.example/")


async def test_dead_sites_fail_each_in_its_way(demo: dict[str, str]) -> None:
    async with client(demo, timeout_s=1) as http:
        gone = await http.get(company_with("not_found").website or "")
        empty = await http.get(company_with("empty").website or "")
        parked = await http.get(f"{company_with('parked').website}about")
        with pytest.raises(httpx2.ReadTimeout):
            await http.get(company_with("silent").website or "")
    assert gone.status_code == 404
    assert (empty.status_code, empty.content) == (200, b"")
    assert (parked.status_code, "for sale" in parked.text) == (200, True)


async def test_an_alias_redirects_each_path(demo: dict[str, str]) -> None:
    company = company_with("alias_redirect")
    async with client(demo) as http:
        answer = await http.get(f"http://{company.alias_domains[0]}/contact?x=1")
    assert answer.status_code == 301
    assert answer.headers["location"] == f"http://{company.domain}/contact?x=1"


async def test_some_robots_txt_forbid_everything(demo: dict[str, str]) -> None:
    opened = next(c for c in gold_of(DEFAULT_SEED).companies if c.deliverable)
    async with client(demo) as http:
        closed = await http.get(f"http://{company_with('robots_blocked').domain}/robots.txt")
        allowed = await http.get(f"http://{opened.domain}/robots.txt")
        sitemap = await http.get(f"http://{opened.domain}/sitemap.xml")
    assert closed.text == "User-agent: *\nDisallow: /\n"
    assert "Disallow: /\n" not in allowed.text
    assert closed.headers["content-type"].startswith("text/plain")
    assert sitemap.headers["content-type"].startswith("application/xml")


async def test_search_answers_as_searxng_does(demo: dict[str, str]) -> None:
    answer = await search(demo, q="property management Austin TX", format="json")
    body = answer.json()
    assert answer.headers["x-demo-world"] == HEADER
    assert set(body) == {
        "query", "number_of_results", "results", "answers", "corrections", "infoboxes", "suggestions",
        "unresponsive_engines",
    }  # fmt: skip
    assert len(body["results"]) == 10
    for result in body["results"]:
        assert set(result) == {"url", "title", "content", "engine", "score", "category"}
        assert result["engine"] == "pm-pipeline demo"
    scores = [result["score"] for result in body["results"]]
    assert scores == sorted(scores, reverse=True)


async def test_result_pages_do_not_overlap_and_end(demo: dict[str, str]) -> None:
    urls: list[str] = []
    for page in ("1", "2", "3", "99"):
        body = (await search(demo, q="property management Dallas TX", format="json", pageno=page)).json()
        urls += [result["url"] for result in body["results"]]
    assert len(urls) == len(set(urls)) == 30


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"format": "json"}, 400),
        ({"q": "x", "format": "json", "pageno": "0"}, 400),
        ({"q": "x"}, 403),
        ({"q": "x", "format": "html"}, 403),
    ],
)
async def test_search_refuses_as_searxng_does(demo: dict[str, str], params: dict[str, str], status: int) -> None:
    assert (await search(demo, **params)).status_code == status


@pytest.mark.parametrize(
    "query",
    ["Buildium property management companies Austin TX", "list of property management companies Dallas Texas"],
)
async def test_a_search_for_companies_finds_lists_and_homes(demo: dict[str, str], world: World, query: str) -> None:
    kinds = []
    for result in (await search(demo, q=query, format="json")).json()["results"]:
        parts = urlsplit(result["url"])
        site = world.sites[(parts.hostname or "").removeprefix("www.")]
        kinds.append(site.pages[parts.path + (f"?{parts.query}" if parts.query else "")].kind)
    assert kinds.count("home") + kinds.count("list") >= 8, kinds
    assert "list" in kinds[:3], kinds


async def test_a_company_is_found_by_name_and_city(demo: dict[str, str]) -> None:
    hidden = {"listed_by_portal", "lookalike_name"}
    wanted = [c for c in gold_of(DEFAULT_SEED).companies if hidden & set(c.traits)]
    assert len(wanted) >= 10
    for company in wanted:
        body = (await search(demo, q=f"{company.name} {company.city}", format="json")).json()
        hosts = [(urlsplit(result["url"]).hostname or "").removeprefix("www.") for result in body["results"]]
        assert company.domain in hosts[:5], (company.name, hosts)


async def test_site_restricts_a_search_to_a_host(demo: dict[str, str]) -> None:
    host = GUIDE_HOSTS["TX"]
    body = (await search(demo, q=f"site:{host} property managers", format="json")).json()
    assert len(body["results"]) > 2
    assert {urlsplit(result["url"]).hostname for result in body["results"]} == {host}


def test_it_stops_cleanly_with_a_silent_connection_open(tmp_path: Path) -> None:
    with running_demo(tmp_path, parts="web") as addresses:
        assert addresses["searxng_url"] is None
        proxy = urlsplit(addresses["web_proxy"])
        with socket.create_connection((proxy.hostname, proxy.port), timeout=10) as connection:
            connection.sendall(f"GET {company_with('silent').website} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            connection.settimeout(0.5)
            with pytest.raises(TimeoutError):
                connection.recv(1)
    assert not (tmp_path / "ready.json").exists()


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.demo", *arguments],
        cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_truth_prints_the_table_or_a_summary_of_a_seed() -> None:
    table = json.loads(command("truth", "--json", "--seed", "1").stdout)
    assert table == json.loads(gold_of(1).model_dump_json())
    summary = command("truth", DEMO_SEED="1").stdout
    texas = [c for c in gold_of(1).companies if c.state == "TX" and c.deliverable]
    row = next(line.split() for line in summary.splitlines() if line.startswith("TX"))
    assert row == ["TX", "240", str(len(texas)), str(sum(c.pms == "Buildium" for c in texas))]
    assert "seed 1:" in summary


def test_suppressions_prints_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(command("suppressions").stdout)))
    assert len(rows) >= 20
    assert {row["reason"] for row in rows} == {"customer", "contacted", "do_not_contact"}


def test_an_unknown_part_is_refused_by_name() -> None:
    result = command("serve", "--parts", "web,fax")
    assert result.returncode == 2
    assert "unknown part fax" in result.stderr
