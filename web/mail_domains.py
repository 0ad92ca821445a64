"""Checks whether a domain accepts email: DNS records (MX, else A and AAAA) and a list of disposable providers.

No mail server is contacted.
"""

import asyncio
import tomllib
from collections.abc import Iterable
from importlib import resources

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver
import structlog

from domain.company.hosts import host_and_parents, normalized_host
from domain.contact.mail_domain import MailDomain, MailReason

log = structlog.get_logger()

_LIFETIME_S = 5.0  # per query, over all configured name servers
_CACHED_ANSWERS_MAX = 20_000


class MailDomains:
    """Looks up domains. The resolver caches DNS answers."""

    def __init__(self, resolver: dns.asyncresolver.Resolver | None, *, lifetime_s: float = _LIFETIME_S) -> None:
        """Without a resolver, every domain that is not disposable is ``no_answer``."""
        self._resolver = resolver
        self._lifetime_s = lifetime_s

    async def look_up_all(self, domains: Iterable[str]) -> dict[str, MailDomain]:
        wanted = sorted(set(domains))
        return dict(zip(wanted, await asyncio.gather(*map(self.look_up, wanted)), strict=True))

    async def look_up(self, domain: str) -> MailDomain:
        """Look up one domain with up to four DNS queries. A DNS failure is ``no_answer``."""
        if is_disposable(domain):
            return MailDomain(domain=domain, reason=MailReason.DISPOSABLE)
        name = _absolute_name(domain)
        if name is None:
            return MailDomain(domain=domain, reason=MailReason.NO_SUCH_DOMAIN)
        try:
            reason = await self._reason(name)
        except dns.exception.DNSException as error:  # SERVFAIL, REFUSED, no answer or a malformed one
            log.info("mail_domain_unanswered", domain=name.to_text(omit_final_dot=True), error=type(error).__name__)
            reason = MailReason.NO_ANSWER
        return MailDomain(domain=domain, reason=reason)

    async def _reason(self, name: dns.name.Name) -> MailReason:
        try:
            exchanges = [record.exchange for record in await self._ask(name, dns.rdatatype.MX)]
        except dns.resolver.NoAnswer:
            for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
                if await self._has(name, kind):
                    return MailReason.ADDRESS_ONLY
            return MailReason.NO_MAIL_HOST
        except dns.resolver.NXDOMAIN:
            # A resolver in a closed network may deny every name. Trust the denial only if it knows the parent domain.
            knows_parent = await self._has(dns.name.Name(name.labels[-2:]), dns.rdatatype.NS)
            return MailReason.NO_SUCH_DOMAIN if knows_parent else MailReason.NO_ANSWER
        return MailReason.NULL_MX if all(exchange == dns.name.root for exchange in exchanges) else MailReason.MX

    async def _has(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> bool:
        try:
            await self._ask(name, kind)
        except dns.resolver.NoAnswer:
            return False
        return True

    async def _ask(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.resolver.Answer:
        if self._resolver is None:
            raise dns.resolver.NoResolverConfiguration
        return await self._resolver.resolve(name, kind, search=False, lifetime=self._lifetime_s)


def system_resolver(configuration: str = "/etc/resolv.conf") -> dns.asyncresolver.Resolver | None:
    """Return this machine's DNS resolver, or None if none is configured."""
    try:
        resolver = dns.asyncresolver.Resolver(configuration)
    except dns.resolver.NoResolverConfiguration as error:
        log.warning("mail_dns_not_configured", error=str(error))
        return None
    resolver.cache = dns.resolver.LRUCache(_CACHED_ANSWERS_MAX)
    return resolver


def is_disposable(domain: str) -> bool:
    """Whether a domain or one of its parents belongs to a disposable-email provider."""
    host = normalized_host(domain)
    return host is not None and any(tail in _DISPOSABLE for tail in host_and_parents(host))


def _absolute_name(domain: str) -> dns.name.Name | None:
    host = normalized_host(domain)
    try:
        return dns.name.from_text(f"{host}.") if host is not None else None
    except dns.exception.DNSException:  # an impossible name, for example with a label of more than 63 characters
        return None


_DISPOSABLE = frozenset(
    tomllib.loads(resources.files("web").joinpath("data/disposable_domains.toml").read_text(encoding="utf-8"))[
        "domains"
    ]
)
