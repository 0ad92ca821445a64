"""Whether a domain takes email, asked of a real DNS server (RFC 5321, section 5.1; RFC 7505)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from domain.company.hosts import normalized_host
from domain.contact.mail_domain import MailDomain, MailReason, MailVerdict
from tests.web.dns_server import REFUSED, SERVFAIL, SILENCE, DnsServer, Zone, serving_dns
from web.mail_domains import _DISPOSABLE, MailDomains, is_disposable, system_resolver

ZONE: dict[str, dict[str, list[str]] | str] = {
    "example": {"NS": ["ns.example."]},
    "acme.example": {"MX": ["10 mail.acme.example.", "20 backup.example."]},
    "xn--bcher-kva.example": {"MX": ["10 mail.example."]},
    "null.example": {"MX": ["0 ."]},
    "web.example": {"A": ["192.0.2.1"]},
    "web6.example": {"AAAA": ["2001:db8::1"]},
    "empty.example": {"TXT": ["parked"]},
    "broken.example": SERVFAIL,
    "closed.example": REFUSED,
    "silent.example": SILENCE,
}
ACCEPTS, REFUSES, UNKNOWN = MailVerdict


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    """A server that knows the zone above."""
    async with serving_dns(ZONE) as running:
        yield running


@pytest.mark.parametrize(
    ("domain", "reason", "verdict"),
    [
        ("acme.example", MailReason.MX, ACCEPTS),
        ("ACME.example", MailReason.MX, ACCEPTS),
        ("bücher.example", MailReason.MX, ACCEPTS),
        ("null.example", MailReason.NULL_MX, REFUSES),
        ("nowhere.example", MailReason.NO_SUCH_DOMAIN, REFUSES),
        ("a..b", MailReason.NO_SUCH_DOMAIN, REFUSES),
        ("empty.example", MailReason.NO_MAIL_HOST, REFUSES),
        ("box.mailinator.com", MailReason.DISPOSABLE, REFUSES),
        ("web.example", MailReason.ADDRESS_ONLY, UNKNOWN),
        ("web6.example", MailReason.ADDRESS_ONLY, UNKNOWN),
        ("broken.example", MailReason.NO_ANSWER, UNKNOWN),
        ("closed.example", MailReason.NO_ANSWER, UNKNOWN),
        ("silent.example", MailReason.NO_ANSWER, UNKNOWN),
    ],
)
async def test_what_dns_says_gives_the_verdict(
    server: DnsServer, domain: str, reason: MailReason, verdict: MailVerdict
) -> None:
    found = await MailDomains(server.resolver(), lifetime_s=0.2).look_up(domain)
    assert (found, found.verdict) == (MailDomain(domain=domain, reason=reason), verdict)


@pytest.mark.parametrize(
    "zone",
    [{}, {"com": SERVFAIL}, {"com": {"TXT": ["a wildcard"]}}],
    ids=["denies all", "fails", "knows no servers"],
)
async def test_a_resolver_in_a_closed_network_proves_nothing(zone: Zone) -> None:
    async with serving_dns(zone) as closed_network:
        found = await MailDomains(closed_network.resolver()).look_up("acme.com")
    assert found.verdict is UNKNOWN


async def test_without_any_dns_nothing_is_known() -> None:
    assert (await MailDomains(None).look_up("acme.example")).reason is MailReason.NO_ANSWER


def test_a_machine_without_name_servers_has_no_resolver(tmp_path: Path) -> None:
    configuration = tmp_path / "resolv.conf"
    assert system_resolver(str(configuration)) is None
    configuration.write_text("search example\n", encoding="utf-8")
    assert system_resolver(str(configuration)) is None
    configuration.write_text("nameserver 127.0.0.1\n", encoding="utf-8")
    assert system_resolver(str(configuration)) is not None


async def test_answers_are_cached(server: DnsServer, tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n", encoding="utf-8")
    resolver = system_resolver(str(tmp_path / "resolv.conf"))
    assert resolver is not None
    resolver.port = server.port
    mail = MailDomains(resolver)
    assert await mail.look_up("acme.example") == await mail.look_up("acme.example")
    assert server.asked == ["MX acme.example"]


async def test_no_answer_is_not_kept() -> None:
    zone: dict[str, dict[str, list[str]] | str] = {"acme.example": SERVFAIL}
    async with serving_dns(zone) as server:
        mail = MailDomains(server.resolver())
        assert (await mail.look_up("acme.example")).verdict is UNKNOWN
        zone["acme.example"] = ZONE["acme.example"]
        assert (await mail.look_up("acme.example")).verdict is ACCEPTS


async def test_several_domains_are_looked_up_together(server: DnsServer) -> None:
    found = await MailDomains(server.resolver()).look_up_all(["null.example", "acme.example", "acme.example"])
    assert {domain: one.verdict for domain, one in found.items()} == {"acme.example": ACCEPTS, "null.example": REFUSES}


async def test_a_disposable_provider_is_refused_without_a_question(server: DnsServer) -> None:
    await MailDomains(server.resolver()).look_up("yopmail.com")
    assert server.asked == []


def test_only_whole_names_are_disposable() -> None:
    assert is_disposable("Mailinator.com") and is_disposable("eu.mailinator.com")
    assert not is_disposable("notmailinator.com") and not is_disposable("mailinator.com.acme.example")


def test_the_list_of_disposable_providers_is_in_normal_form() -> None:
    assert len(_DISPOSABLE) > 50
    assert all(normalized_host(domain) == domain for domain in _DISPOSABLE)
