"""What the guard says of an address. That nothing reaches a private one is in ``test_ssrf_suite.py``."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http_server import html, serving
from tests.web.test_ssrf_suite import TRICKS
from web.address_guard import is_public_address, refused_url
from web.fetch import WebClient

# The one left out has a public host; its trick is only for lax parsers.
REFUSED = {name: url.format(port=8080) for name, url in TRICKS.items() if name != "userinfo behind a fragment"}


@pytest.mark.parametrize("url", REFUSED.values(), ids=REFUSED.keys())
def test_no_spelling_of_a_private_address_passes(url: str) -> None:
    assert refused_url(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1/", "private_address"),
        ("http://2130706433/", "private_address"),
        ("http://0x7f.1/", "private_address"),
        ("http://127.0.0.1./", "private_address"),
        ("http://１２７.0.0.1/", "private_address"),
        ("http://[::ffff:7f00:1]/", "private_address"),
        ("http://metadata.google.internal./", "private_address"),
        ("http://127.0.0.1\\.acme.example/", "private_address"),
        ("http://user:password@acme.example/", "bad_url"),
        ("http://[::1/", "bad_url"),
        ("http://acme.example:99999/", "bad_url"),
        ("http:127.0.0.1", "bad_url"),
        ("file:///etc/passwd", "scheme"),
        ("data:text/html,hi", "scheme"),
        ("//127.0.0.1/", "scheme"),
        ("gopher://127.0.0.1:6379/_INFO", "scheme"),
        ("http://acme.example:22/", "port"),
        ("http://acme.example/", None),
        ("https://www.acme.example:443/about?x=1#team", None),
        ("http://acme.example.:8080/", None),
        ("https://bücher.example/", None),
        ("https://xn--bcher-kva.example/", None),
        ("http://my_site.acme.example/", None),
        ("http://93.184.216.34/", None),
        ("http://[2606:4700::1111]/", None),
        ("http://127.0.0.1.acme.example/", None),
        ("http://10.example/", None),
    ],
)
def test_a_refused_url_has_a_reason(url: str, reason: str | None) -> None:
    assert refused_url(url) == reason


@given(st.ip_addresses(v=4))
def test_an_ipv6_form_is_no_more_public_than_the_address_inside(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for wrapped in (0xFFFF << 32 | number, 0x64FF9B << 96 | number, (0x2002 << 112) | (number << 80)):
        if not is_public_address(str(address)):
            assert not is_public_address(str(ipaddress.IPv6Address(wrapped)))


@given(st.ip_addresses(v=4), st.sampled_from(["{}.{}.{}.{}", "0x{:x}.0x{:x}.0x{:x}.0x{:x}", "0{:o}.0{:o}.0{:o}.0{:o}"]))
def test_every_spelling_of_an_address_is_judged_alike(address: ipaddress.IPv4Address, spelling: str) -> None:
    refusal = refused_url(f"http://{spelling.format(*address.packed)}/")
    if not is_public_address(str(address)):
        assert refusal == "private_address"


async def test_through_a_proxy_the_guard_still_reads_the_url() -> None:
    async with serving(lambda request: html("<p>secret</p>")) as proxy:
        client = WebClient(proxy=proxy.url, timeout_s=2, bytes_max=1000)
        for url in REFUSED.values():
            assert (await client.fetch(url)).status != "ok", url
        await client.close()
        assert proxy.requests == []
