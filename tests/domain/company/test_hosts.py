"""Host names compare in one normal form and sites by registrable domain."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.company.hosts import host_and_parents, normalized_host, registrable_domain, same_registrable_domain

LABEL = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12).filter(
    lambda label: label[0].isalpha()
)


@pytest.mark.parametrize(
    ("given_text", "host"),
    [
        ("Acme.COM", "acme.com"),
        ("https://WWW.Acme.com:8443/Path?q=1#top", "www.acme.com"),
        ("//acme.com/x", "acme.com"),
        ("acme.com:443", "acme.com"),
        ("acme.com.", "acme.com"),
        ("https://user:secret@acme.com/", "acme.com"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("http://192.168.0.1:80/", "192.168.0.1"),
        ("http://[2001:db8::1]/", "[2001:db8::1]"),
        ("acme.com/redirect?to=https://other.com", "acme.com"),
        ("https:\\\\acme.com\\x", "acme.com"),
    ],
)
def test_host_has_one_normal_form(given_text: str, host: str) -> None:
    assert normalized_host(given_text) == host
    assert normalized_host(host) == host


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "https://", "mailto:info@acme.com",
        "info@acme.com", "javascript:void(0)", "ftp://acme.com/", "acme..com",
        "-acme.com", "http://[::1", "acme.com:port", "a b.com", "http://1.2.3/", "x" * 64 + ".com", "tel:+15125550100x",
    ],
)  # fmt: skip
def test_invalid_host_is_none(text: str) -> None:
    assert normalized_host(text) is None
    assert registrable_domain(text) is None


@pytest.mark.parametrize(
    ("given_text", "domain"),
    [
        ("https://www.acme.co.uk:443/x", "acme.co.uk"),
        ("a.b.acme.com", "acme.com"),
        ("ACME.com.", "acme.com"),
        ("www.bücher.example", "xn--bcher-kva.example"),
        ("www.acme.example", "acme.example"),
        ("acme.wixsite.com", "acme.wixsite.com"),
        ("com", None),
        ("co.uk", None),
        ("wixsite.com", None),
        ("http://10.0.0.1/", None),
        ("http://[::1]/", None),
    ],
)
def test_registrable_domain(given_text: str, domain: str | None) -> None:
    assert registrable_domain(given_text) == domain


@settings(deadline=None)
@given(st.lists(LABEL, min_size=0, max_size=3), LABEL, st.sampled_from(["com", "co.uk", "example", "us"]))
def test_domain_ignores_subdomain_case_port_and_path(above: list[str], name: str, suffix: str) -> None:
    domain = f"{name}.{suffix}"
    expected = registrable_domain(domain)
    host = ".".join([*above, domain])
    if expected is not None:
        assert registrable_domain(f"HTTPS://{host.upper()}.:8080/{name}?{name}.other.com#x") == expected
        assert same_registrable_domain(host, expected)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_gives_a_stable_host_or_none(text: str) -> None:
    host = normalized_host(text)
    assert host is None or normalized_host(host) == host


def test_ip_addresses_never_share_a_domain() -> None:
    assert not same_registrable_domain("10.0.0.1", "10.0.0.1")


def test_host_and_parents_are_whole_labels() -> None:
    assert list(host_and_parents("a.b.com")) == ["a.b.com", "b.com", "com"]
