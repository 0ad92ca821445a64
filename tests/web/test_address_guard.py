"""The guard: nothing but the public web is opened, however an address is written, redirected to or resolved."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http_server import html, serving
from web import address_guard
from web.address_guard import is_public_address, refused_url
from web.fetch import WebClient

PRIVATE_URLS = {
    "plain loopback": "http://127.0.0.1/",
    "another loopback": "http://127.255.255.254/",
    "this host": "http://0.0.0.0/",
    "class A": "http://10.1.2.3/",
    "class B": "http://172.16.0.1/",
    "class C": "http://192.168.1.1/",
    "cloud metadata": "http://169.254.169.254/latest/meta-data/",
    "carrier-grade NAT": "http://100.64.0.1/",
    "broadcast": "http://255.255.255.255/",
    "multicast": "http://224.0.0.1/",
    "decimal": "http://2130706433/",
    "octal": "http://0177.0.0.1/",
    "octal, whole": "http://017700000001/",
    "hexadecimal": "http://0x7f.0.0.1/",
    "hexadecimal, whole": "http://0x7f000001/",
    "short": "http://127.1/",
    "mixed": "http://0x7f.1/",
    "zero": "http://0/",
    "trailing dot": "http://127.0.0.1./",
    "trailing dot, short": "http://127.1./",
    "full-width digits": "http://１２７.0.0.1/",
    "circled digits": "http://①②⑦.⓪.⓪.①/",
    "ideographic full stops": "http://127。0。0。1/",
    "line break inside": "http://127.0.\n0.1/",
    "IPv6 loopback": "http://[::1]/",
    "IPv6 unspecified": "http://[::]/",
    "IPv6 link-local": "http://[fe80::1%25eth0]/",
    "IPv6 unique local": "http://[fd00::1]/",
    "IPv6 site-local": "http://[fec0::1]/",
    "IPv4-mapped": "http://[::ffff:127.0.0.1]/",
    "IPv4-mapped, hexadecimal": "http://[::ffff:7f00:1]/",
    "IPv4-compatible": "http://[::127.0.0.1]/",
    "6to4": "http://[2002:7f00:1::]/",
    "NAT64": "http://[64:ff9b::7f00:1]/",
    "NAT64, local": "http://[64:ff9b:1::7f00:1]/",
    "Teredo": "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
    "bare name": "http://metadata/",
    "localhost": "http://LOCALHOST/",
    "localhost with a dot": "http://localhost./",
    "below localhost": "http://a.localhost/",
    "local network name": "http://printer.local/",
    "cloud's internal name": "http://metadata.google.internal./",
    "backslash": "http://127.0.0.1\\.acme.example/",
}
MALFORMED_URLS = {
    "userinfo": "http://acme.example@127.0.0.1/",
    "userinfo of a public host": "http://user:password@acme.example/",
    "percent-encoded host": "http://%31%32%37.0.0.1/",
    "percent-encoded dot": "http://127.0.0.1%2e/",
    "no host": "http:///127.0.0.1",
    "no authority": "http:127.0.0.1",
    "bad brackets": "http://[::1/",
    "bad port": "http://acme.example:99999/",
    "space": "http://127.0.0.1 .example/",
}
FOREIGN_URLS = {
    "file": ("file:///etc/passwd", "scheme"),
    "ftp": ("ftp://acme.example/", "scheme"),
    "data": ("data:text/html,hi", "scheme"),
    "no scheme": ("//127.0.0.1/", "scheme"),
    "gopher": ("gopher://127.0.0.1:6379/_INFO", "scheme"),
    "ssh": ("http://acme.example:22/", "port"),
    "redis": ("http://acme.example:6379/", "port"),
}
PUBLIC_URLS = (
    "http://acme.example/",
    "https://www.acme.example:443/about?x=1#team",
    "http://acme.example.:8080/",
    "https://bücher.example/",
    "https://xn--bcher-kva.example/",
    "http://my_site.acme.example/",
    "http://93.184.216.34/",
    "http://[2606:4700::1111]/",
    "http://127.0.0.1.acme.example/",
    "http://10.example/",
)


@pytest.mark.parametrize("url", PRIVATE_URLS.values(), ids=PRIVATE_URLS.keys())
def test_no_spelling_of_a_private_address_passes(url: str) -> None:
    assert refused_url(url) == "private_address"


@pytest.mark.parametrize("url", MALFORMED_URLS.values(), ids=MALFORMED_URLS.keys())
def test_what_two_readers_could_read_differently_is_refused(url: str) -> None:
    assert refused_url(url) in {"bad_url", "private_address"}


@pytest.mark.parametrize(("url", "reason"), FOREIGN_URLS.values(), ids=FOREIGN_URLS.keys())
def test_only_web_schemes_on_web_ports_pass(url: str, reason: str) -> None:
    assert refused_url(url) == reason


@pytest.mark.parametrize("url", PUBLIC_URLS)
def test_the_public_web_passes(url: str) -> None:
    assert refused_url(url) is None


@given(st.ip_addresses(v=4))
def test_an_ipv6_form_is_no_more_public_than_the_address_inside(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for prefix in (0xFFFF << 32, 0x64FF9B << 96, (0x2002 << 112) | (number << 80)):
        inner = number if prefix >> 112 != 0x2002 else 0
        wrapped = ipaddress.IPv6Address(prefix | inner)
        if not is_public_address(str(address)):
            assert not is_public_address(str(wrapped))


@given(st.ip_addresses(v=4), st.sampled_from(["{}.{}.{}.{}", "0x{:x}.0x{:x}.0x{:x}.0x{:x}", "0{:o}.0{:o}.0{:o}.0{:o}"]))
def test_an_address_is_judged_alike_however_it_is_spelled(address: ipaddress.IPv4Address, spelling: str) -> None:
    refusal = refused_url(f"http://{spelling.format(*address.packed)}/")
    if not is_public_address(str(address)):
        assert refusal == "private_address"


async def test_a_refused_address_is_never_connected_to() -> None:
    client = WebClient(proxy=None, timeout_s=2, bytes_max=1000)
    for name, url in PRIVATE_URLS.items():
        page = await client.fetch(url)
        assert (page.status, page.reason, page.http_status) == ("blocked", "private_address", None), name
    await client.close()


class FakeDns:
    """Answers for names under ``.test`` in place of a name server, which tests cannot have, and counts the questions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[list[str]]]) -> None:
        self.asked: list[str] = []
        self._answers = answers
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._resolve)

    def _resolve(self, host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host not in self._answers:
            return self._real(host, port, *args, **kwargs)
        self.asked.append(host)
        answer = self._answers[host].pop(0)
        return [
            (socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in answer
        ]


@pytest.mark.parametrize(
    "answer",
    [["127.0.0.1"], ["169.254.169.254"], ["93.184.216.34", "10.0.0.1"], ["::1"], ["::ffff:10.0.0.1"], ["fd00::1"]],
    ids=" ".join,
)
async def test_a_public_name_that_leads_to_a_private_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, answer: list[str]
) -> None:
    dns = FakeDns(monkeypatch, {"rebound.test": [answer]})
    client = WebClient(proxy=None, timeout_s=2, bytes_max=1000)
    page = await client.fetch("http://rebound.test:8080/")
    await client.close()
    assert (page.status, page.reason) == ("blocked", "private_address")
    assert dns.asked == ["rebound.test"]


@pytest.fixture
def public_machine(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address of this machine that, for the test, is the only public one there is."""
    address = f"127.77.{os.getpid() % 250}.{os.getpid() // 250 % 250 + 1}"
    monkeypatch.setattr(address_guard, "is_public_address", lambda asked: str(ipaddress.ip_address(asked)) == address)
    return address


async def test_the_address_that_was_checked_is_the_one_connected_to(
    monkeypatch: pytest.MonkeyPatch, public_machine: str
) -> None:
    # Any question beyond one for robots.txt and one for the page would be answered privately (DNS rebinding).
    answers = [[public_machine], [public_machine], ["127.0.0.1"], ["127.0.0.1"]]
    dns = FakeDns(monkeypatch, {"rebound.test": answers})
    async with serving(lambda request: html("<p>public</p>"), public_machine, 8080) as server:
        client = WebClient(proxy=None, timeout_s=2, bytes_max=1000)
        page = await client.fetch("http://rebound.test:8080/")
        await client.close()
    assert (page.status, page.body) == ("ok", "<p>public</p>")
    assert dns.asked == ["rebound.test", "rebound.test"]
    assert {request.headers["host"] for request in server.requests} == {"rebound.test:8080"}


async def test_two_names_of_one_machine_never_share_a_connection(
    monkeypatch: pytest.MonkeyPatch, public_machine: str
) -> None:
    # Under TLS the second name's certificate would never be looked at.
    FakeDns(monkeypatch, {name: [[public_machine]] * 2 for name in ("one.test", "two.test")})
    async with serving(lambda request: html("<p>shared host</p>"), public_machine, 8080) as server:
        client = WebClient(proxy=None, timeout_s=2, bytes_max=1000)
        pages = [await client.fetch(f"http://{name}.test:8080/") for name in ("one", "two")]
        await client.close()
    assert [page.status for page in pages] == ["ok", "ok"]
    assert server.connections == len(server.requests) == 4


async def test_a_name_that_does_not_resolve_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    client = WebClient(proxy=None, timeout_s=2, bytes_max=1000)
    page = await client.fetch("http://nowhere.test/")
    await client.close()
    assert (page.status, page.reason) == ("error", "unreachable_no_such_host")


async def test_through_a_proxy_the_guard_still_reads_the_url() -> None:
    async with serving(lambda request: html("<p>secret</p>")) as proxy:
        client = WebClient(proxy=proxy.url, timeout_s=2, bytes_max=1000)
        for url in (*PRIVATE_URLS.values(), *MALFORMED_URLS.values()):
            assert (await client.fetch(url)).status != "ok", url
        await client.close()
        assert proxy.requests == []
