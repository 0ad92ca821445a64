"""Server-side request forgery: no known trick opens a connection to an address that is not on the public web.

Each trick runs on the production client against a real victim on this machine (``ssrf_trap.py``). The victim counts the
connections that it accepts, and every address that our process begins to connect to is recorded, even if nobody listens
there. The suite can fail: without the guard the same tricks reach the victim (``test_control_…``).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx2
import pytest

from agents.tool_calls import ToolCalls
from search.searxng import SearxngSearch
from settings import Settings
from store.database import Database
from tests.http_server import Reply, html, json_reply, moved, serving
from tests.web.ssrf_trap import PUBLIC, SECRET, Trap, set_trap
from web import address_guard, fetch
from web.gateway import ToolGateway

# Reach the victim when nothing stands in between, by this machine's own resolver.
LIVE_TRICKS = {
    "plain": "http://127.0.0.1:{port}/",
    "decimal": "http://2130706433:{port}/",
    "octal, whole": "http://017700000001:{port}/",
    "hexadecimal": "http://0x7f.0x0.0x0.0x1:{port}/",
    "hexadecimal, whole": "http://0x7f000001:{port}/",
    "hexadecimal, capitals": "http://0X7F000001:{port}/",
    "two parts": "http://127.1:{port}/",
    "three parts": "http://127.0.1:{port}/",
    "mixed bases": "http://0x7f.0.01:{port}/",
    "zero": "http://0:{port}/",
    "this host": "http://0.0.0.0:{port}/",
    "localhost": "http://localhost:{port}/",
    "localhost in capitals": "http://LOCALHOST:{port}/",
    "IPv6 loopback": "http://[::1]:{port}/",
    "IPv6 loopback, longer": "http://[0000::0001]:{port}/",
    "IPv6, unspecified": "http://[::]:{port}/",
    "IPv4-mapped": "http://[::ffff:127.0.0.1]:{port}/",
    "IPv4-mapped, hexadecimal": "http://[::ffff:7f00:1]:{port}/",
    "userinfo that looks like the host": "http://www.public.test@127.0.0.1:{port}/",
    "userinfo with a password": "http://public.test:80@127.0.0.1:{port}/",
}
TRICKS = LIVE_TRICKS | {
    "IPv6 loopback, long": "http://[0000:0000:0000:0000:0000:0000:0000:0001]:{port}/",
    "octal": "http://0177.0.0.1:{port}/",
    "octal, all parts": "http://0177.00.00.01:{port}/",
    "trailing dot": "http://127.0.0.1.:{port}/",
    "short, trailing dot": "http://127.1.:{port}/",
    "localhost, trailing dot": "http://localhost.:{port}/",
    "below localhost": "http://public.test.localhost:{port}/",
    "localhost.localdomain": "http://localhost.localdomain:{port}/",
    "another loopback address": "http://127.8.8.8:{port}/",
    "octal overflow": "http://0300.0250.1.1:{port}/",
    "private class A": "http://10.0.0.1:{port}/",
    "private class B": "http://172.31.255.255:{port}/",
    "private class C": "http://192.168.0.1:{port}/",
    "carrier-grade NAT": "http://100.64.0.1:{port}/",
    "benchmark network": "http://198.18.0.1:{port}/",
    "multicast": "http://239.1.1.1:{port}/",
    "broadcast": "http://255.255.255.255:{port}/",
    "cloud metadata": "http://169.254.169.254/latest/meta-data/",
    "cloud metadata, decimal": "http://2852039166/latest/meta-data/",
    "cloud metadata, octal": "http://0251.0376.0251.0376/latest/meta-data/",
    "cloud metadata, mapped": "http://[::ffff:a9fe:a9fe]/latest/meta-data/",
    "cloud metadata, IPv6": "http://[fd00:ec2::254]/latest/meta-data/",
    "cloud metadata, Alibaba": "http://100.100.100.200/latest/meta-data/",
    "cloud metadata, Oracle": "http://192.0.0.192/latest/",
    "cloud platform, Azure": "http://168.63.129.16/machine?comp=goalstate",
    "cloud metadata, by name": "http://metadata.google.internal/computeMetadata/v1/",
    "cloud metadata, bare name": "http://metadata/computeMetadata/v1/",
    "mDNS name": "http://printer.local:{port}/",
    "home network name": "http://router.home.arpa:{port}/",
    "local name in full-width letters": "http://printer.ｌｏｃａｌ:{port}/",
    "container's name of its host": "http://host.docker.internal:{port}/",
    "IPv4-compatible": "http://[::127.0.0.1]:{port}/",
    "IPv4-translated": "http://[::ffff:0:127.0.0.1]:{port}/",
    "6to4": "http://[2002:7f00:1::]:{port}/",
    "6to4 of the metadata address": "http://[2002:a9fe:a9fe::1]:{port}/",
    "Teredo": "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]:{port}/",
    "NAT64": "http://[64:ff9b::7f00:1]:{port}/",
    "NAT64, dotted": "http://[64:ff9b::127.0.0.1]:{port}/",
    "NAT64, local prefix": "http://[64:ff9b:1::7f00:1]:{port}/",
    "link-local": "http://[fe80::1]:{port}/",
    "link-local with a zone": "http://[fe80::1%25lo]:{port}/",
    "loopback with a zone": "http://[::1%25lo]:{port}/",
    "unique local": "http://[fd12:3456:789a::1]:{port}/",
    "site-local": "http://[fec0::1]:{port}/",
    "IPv6 multicast": "http://[ff02::1]:{port}/",
    "documentation prefix": "http://[2001:db8::1]:{port}/",
    "full-width digits": "http://１２７.0.0.1:{port}/",
    "circled digits": "http://①②⑦.⓪.⓪.①:{port}/",
    "circled letters": "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/",
    "ideographic full stops": "http://127。0。0。1:{port}/",
    "half-width full stop": "http://127｡0｡0｡1:{port}/",
    "percent-encoded host": "http://%31%32%37%2e%30%2e%30%2e%31:{port}/",
    "percent-encoded dots": "http://127%2e0%2e0%2e1:{port}/",
    "twice percent-encoded": "http://%2531%2532%2537.0.0.1:{port}/",
    "userinfo behind a fragment": "http://public.test#@127.0.0.1:{port}/",
    "fragment in the userinfo": "http://127.0.0.1:{port}#@public.test/",
    "userinfo with an encoded at sign": "http://public.test%40127.0.0.1:{port}/",
    "two at signs": "http://public.test@public.test@127.0.0.1:{port}/",
    "backslash for a slash": "http://127.0.0.1:{port}\\@public.test/",
    "backslash before the at sign": "http://public.test\\@127.0.0.1:{port}/",
    "backslashes for slashes": "http:\\\\127.0.0.1:{port}/",
    "tab in the host": "http://127.0.\t0.1:{port}/",
    "line break in the host": "http://127.0.\n0.1:{port}/",
    "carriage return in the host": "http://127.0.0.1\r\n:{port}/",
    "tab in the scheme": "ht\ttp://127.0.0.1:{port}/",
    "blanks around": "  http://127.0.0.1:{port}/  ",
    "NUL in the host": "http://127.0.0.1\x00.public.test:{port}/",
    "soft hyphen in the host": "http://local\u00adhost:{port}/",
    "zero-width space in the host": "http://127.0.0.1\u200b:{port}/",
    "one slash": "http:/127.0.0.1:{port}/",
    "no slash": "http:127.0.0.1:{port}/",
    "three slashes": "http:///127.0.0.1:{port}/",
    "no scheme": "//127.0.0.1:{port}/",
    "file": "file:///etc/passwd",
    "file of a host": "file://127.0.0.1:{port}/etc/passwd",
    "gopher": "gopher://127.0.0.1:{port}/_INFO",
    "ftp": "ftp://127.0.0.1:{port}/",
    "dict": "dict://127.0.0.1:{port}/info",
    "ldap": "ldap://127.0.0.1:{port}/",
    "data": "data:text/html,<p>hi",
    "javascript": "javascript:alert(1)",
    "jar": "jar:http://127.0.0.1:{port}/!/x",
    "nested URL": "url:http://127.0.0.1:{port}/",
    "view-source": "view-source:http://127.0.0.1:{port}/",
    "WebSocket": "ws://127.0.0.1:{port}/",
}

# What a name server can answer, question by question (the last answer stays); the first question is robots.txt's.
DNS_TRICKS = {
    "private": [["127.0.0.1"]],
    "metadata": [["169.254.169.254"]],
    "IPv6 loopback": [["::1"]],
    "IPv6 metadata": [["fd00:ec2::254"]],
    "link-local with a zone": [["fe80::1%lo"]],
    "mapped": [["::ffff:127.0.0.1"]],
    "NAT64": [["64:ff9b::7f00:1"]],
    "6to4": [["2002:7f00:1::"]],
    "public, then private": [[PUBLIC, "127.0.0.1"]],
    "private, then public": [["127.0.0.1", PUBLIC]],
    "public IPv4, private IPv6": [[PUBLIC, "::1"]],
    "rebinding after robots.txt": [[PUBLIC], ["127.0.0.1"]],
    "rebinding to IPv6 after robots.txt": [[PUBLIC], ["::1"]],
    "rebinding to a mixed answer": [[PUBLIC], [PUBLIC, "127.0.0.1"]],
    "no address at all": [[]],
}

VICTIMS = {
    "absolute": "http://127.0.0.1:{port}/",
    "scheme-relative": "//127.0.0.1:{port}/",
    "decimal": "//2130706433:{port}/",
    "IPv6": "http://[::1]:{port}/",
    "mapped": "http://[::ffff:7f00:1]:{port}/",
    "localhost": "http://localhost:{port}/",
    "private name": "http://private.test:{port}/",
    "userinfo": "http://public.test@127.0.0.1:{port}/",
    "backslashes": "\\\\127.0.0.1:{port}/",
    "scheme with backslashes": "http:\\\\127.0.0.1:{port}/",
    "tab between the slashes": "/\t/127.0.0.1:{port}/",
    "metadata": "http://169.254.169.254/latest/meta-data/",
    "file": "file:///etc/passwd",
    "gopher": "gopher://127.0.0.1:{port}/_INFO",
}


@pytest.fixture(scope="module")
async def set_once() -> AsyncIterator[Trap]:
    async with set_trap() as trap:
        yield trap


@pytest.fixture
async def trap(set_once: Trap) -> AsyncIterator[Trap]:
    """The trap, and after every test: the victim was left alone."""
    set_once.reset()
    set_once.answers |= {"public.test": [[PUBLIC]], "private.test": [["127.0.0.1"]]}
    yield set_once
    assert set_once.victim_connections == 0
    assert set_once.dialled <= {PUBLIC}, "nothing but the public server was even tried"


@pytest.mark.parametrize("trick", TRICKS.values(), ids=TRICKS.keys())
async def test_no_spelling_reaches_the_victim(trap: Trap, trick: str) -> None:
    page = await trap.fetch(trick)
    assert page.status in {"blocked", "error"}
    assert SECRET not in page.body


@pytest.mark.parametrize("answers", DNS_TRICKS.values(), ids=DNS_TRICKS.keys())
async def test_no_dns_answer_reaches_the_victim(
    trap: Trap, answers: list[list[str]], request: pytest.FixtureRequest
) -> None:
    name = f"trick{request.node.callspec.indices['answers']}.test"  # robots.txt is remembered by name
    trap.answers[name] = [list(answer) for answer in answers]
    page = await trap.fetch(f"http://{name}:{{port}}/")
    assert (page.status, page.reason) == ("blocked", "private_address")
    assert trap.asked == [name] * len(answers)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", VICTIMS.values(), ids=VICTIMS.keys())
async def test_no_redirect_reaches_the_victim(trap: Trap, status: int, target: str) -> None:
    trap.pages["public.test/"] = moved(trap.url(target), status)
    page = await trap.fetch("http://public.test:{port}/")
    assert page.status in {"blocked", "error"}
    assert page.redirects == (trap.url("http://public.test:{port}/"),)


async def test_no_chain_of_redirects_reaches_the_victim(trap: Trap) -> None:
    trap.answers["other.test"] = [[PUBLIC]]
    trap.pages["public.test/"] = moved("/second")
    trap.pages["public.test/second"] = moved(trap.url("//other.test:{port}/third"), 308)
    trap.pages["other.test/third"] = moved(trap.url("http://private.test:{port}/admin"), 307)
    page = await trap.fetch("http://public.test:{port}/")
    assert (page.status, page.reason, len(page.redirects)) == ("blocked", "private_address", 3)


@pytest.mark.parametrize(
    "answer",
    [
        html('<meta http-equiv="refresh" content="0;url=http://127.0.0.1:{port}/"><p>Acme'),
        html("<p>Acme", refresh="0;url=http://127.0.0.1:{port}/"),
        html('<p>Acme<img src="http://127.0.0.1:{port}/"><iframe src="http://127.0.0.1:{port}/"></iframe>'),
        html("<p>Acme", link="<http://127.0.0.1:{port}/>; rel=preload"),
    ],
    ids=["meta refresh", "refresh header", "parts of the page", "preload header"],
)
async def test_subresources_and_refreshes_are_not_opened(trap: Trap, answer: Reply) -> None:
    headers = {name: trap.url(value) for name, value in answer.headers.items()}
    trap.pages["public.test/"] = Reply(200, trap.url(answer.body.decode()).encode(), headers)
    assert (await trap.fetch("http://public.test:{port}/")).status == "ok"


@pytest.mark.parametrize("target", VICTIMS.values(), ids=VICTIMS.keys())
async def test_no_robots_txt_redirect_reaches_the_victim(
    trap: Trap, target: str, request: pytest.FixtureRequest
) -> None:
    name = f"robots{request.node.callspec.indices['target']}.test"
    trap.answers[name] = [[PUBLIC]]
    trap.pages[f"{name}/robots.txt"] = moved(trap.url(target), 301)
    trap.pages[f"{name}/"] = html("<p>Acme")
    page = await trap.fetch(f"http://{name}:{{port}}/")
    assert page.status in {"ok", "blocked", "error"}
    assert SECRET not in page.body


@pytest.mark.parametrize("port", [21, 22, 23, 25, 111, 2375, 3306, 5432, 6379, 7233, 9200, 11211])
async def test_only_web_ports_are_opened(trap: Trap, port: int) -> None:
    page = await trap.fetch(f"http://public.test:{port}/")
    assert (page.status, page.reason, trap.asked) == ("blocked", "port", [])


async def test_search_results_are_guarded_too(trap: Trap, database: Database, settings: Settings) -> None:
    trap.pages["public.test/"] = moved(trap.url("http://127.0.0.1:{port}/"))
    urls = [trap.url(trick) for trick in (*TRICKS.values(), "http://public.test:{port}/")]
    answer = json_reply({"results": [{"url": url, "title": "Acme", "content": "homes"} for url in urls]})
    async with serving(lambda request: answer) as back_end, httpx2.AsyncClient(trust_env=False) as http:
        gateway = ToolGateway(database, trap.client, SearxngSearch(http, back_end.url), settings)
        calls = ToolCalls(gateway, ("search_web", "fetch_page"), calls_max=1000, allowed_urls=set())
        await calls.call("search_web", json.dumps({"query": "property managers", "page": 1}))
        trap.dialled.clear()  # the search back end's own address is a setting, not a stranger's word
        for url in urls:
            shown = await calls.call("fetch_page", json.dumps({"url": url}))
            assert shown["status"] in {"blocked", "error"}, url


@pytest.mark.parametrize("trick", LIVE_TRICKS.values(), ids=LIVE_TRICKS.keys())
async def test_control_without_the_guard_the_trick_reaches_the_victim(
    set_once: Trap, monkeypatch: pytest.MonkeyPatch, trick: str
) -> None:
    _skip_without_ipv6(set_once, trick)
    set_once.reset()
    monkeypatch.setattr(fetch, "refused_url", lambda url: None)
    monkeypatch.setattr(address_guard, "is_public_address", lambda address: True)
    page = await set_once.fetch(trick)
    assert (page.status, page.body) == ("ok", SECRET)
    assert set_once.victim_connections > 0


@pytest.mark.parametrize(
    "answers", [[["127.0.0.1"]], [[PUBLIC], ["127.0.0.1"]], [["::1"]]], ids=["private", "public then private", "IPv6"]
)
async def test_control_without_the_guard_dns_reaches_the_victim(
    set_once: Trap, monkeypatch: pytest.MonkeyPatch, answers: list[list[str]], request: pytest.FixtureRequest
) -> None:
    _skip_without_ipv6(set_once, str(answers))
    set_once.reset()
    monkeypatch.setattr(address_guard, "is_public_address", lambda address: True)
    name = f"control{request.node.callspec.indices['answers']}.test"
    set_once.answers[name] = [list(answer) for answer in answers]
    assert (await set_once.fetch(f"http://{name}:{{port}}/")).body == SECRET
    assert set_once.victim_connections > 0


async def test_the_checked_address_is_the_one_connected_to(trap: Trap) -> None:
    # Any question after those for robots.txt and the page would be answered with a private address.
    trap.answers["checked.test"] = [[PUBLIC], [PUBLIC], ["127.0.0.1"]]
    trap.pages["checked.test/"] = html("<p>Acme")
    before = trap.public.connections
    assert (await trap.fetch("http://checked.test:{port}/")).body == "<p>Acme"
    assert trap.public.connections > before
    assert trap.asked == ["checked.test"] * 2


async def test_two_names_on_one_machine_never_share_a_connection(trap: Trap) -> None:
    # Under TLS the second name's certificate would never be checked.
    before = trap.public.connections, len(trap.public.requests)
    for name in ("one.test", "two.test"):
        trap.answers[name] = [[PUBLIC]]
        trap.pages[f"{name}/"] = html("<p>Acme")
        assert (await trap.fetch(f"http://{name}:{{port}}/")).status == "ok"
    assert (trap.public.connections - before[0], len(trap.public.requests) - before[1]) == (4, 4)


async def test_a_name_that_does_not_resolve_is_unreachable(trap: Trap) -> None:
    page = await trap.fetch("http://nowhere.test:{port}/")
    assert (page.status, page.reason) == ("error", "unreachable_no_such_host")


def _skip_without_ipv6(trap: Trap, trick: str) -> None:
    if "::" in trick and len(trap.victims) == 1:
        pytest.skip("this machine has no IPv6 loopback address (::1) for a victim to listen on")
