"""Whether a domain takes mail, by its public DNS records (MX, else A and AAAA) and a list of disposable providers.

Only names are asked for: no mail server is ever connected to (DOMAIN, "Contact": no SMTP probing). What the answers mean
for a person's address is in ``domain/contact/email_verification.py``.
"""

import asyncio
import time
import tomllib
from collections.abc import Callable, Iterable
from importlib import resources

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver
import structlog

from domain.company.hosts import host_and_parents, normalized_host
from domain.contact.mail_domain import MailDomain, MailReason
from web.deduplication import Deduplicator

log = structlog.get_logger()

_LIFETIME_S = 5.0  # one question, over all name servers that are configured
_TTL_S = 3600.0
_KEPT_MAX = 20_000  # answers of a worker; beyond, the old ones go


class MailDomains:
    """What is known of the mail of domains, kept for an hour per worker; a question that nobody answered is not kept."""

    def __init__(
        self,
        resolver: dns.asyncresolver.Resolver | None,
        *,
        lifetime_s: float = _LIFETIME_S,
        ttl_s: float = _TTL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``resolver`` None: there is no DNS here, and every domain that is not disposable is ``no_answer``."""
        self._resolver = resolver
        self._lifetime_s = lifetime_s
        self._ttl_s = ttl_s
        self._clock = clock
        self._kept: dict[str, tuple[float, MailReason]] = {}
        self._known_parents: dict[str, float] = {}
        self._in_flight: Deduplicator[MailReason] = Deduplicator()

    async def look_up_all(self, domains: Iterable[str]) -> dict[str, MailDomain]:
        """What is known of each domain, by the domain as given."""
        wanted = sorted(set(domains))
        return dict(zip(wanted, await asyncio.gather(*map(self.look_up, wanted)), strict=True))

    async def look_up(self, domain: str) -> MailDomain:
        """What is known of one domain (the part after the @, of any script). Takes up to four questions' time; never raises
        for what DNS answers or does not answer."""
        if is_disposable(domain):
            return MailDomain(domain=domain, reason=MailReason.DISPOSABLE)
        name = _absolute_name(domain)
        if name is None:
            return MailDomain(domain=domain, reason=MailReason.NO_SUCH_DOMAIN)
        key = name.to_text()
        kept = self._kept.get(key)
        if kept is not None and kept[0] > self._clock():
            return MailDomain(domain=domain, reason=kept[1])
        reason = await self._in_flight.run(key, lambda: self._asked(name))
        if reason is not MailReason.NO_ANSWER:
            self._keep(key, reason)
        return MailDomain(domain=domain, reason=reason)

    async def _asked(self, name: dns.name.Name) -> MailReason:
        try:
            return await self._reason(name)
        except dns.exception.DNSException as error:  # SERVFAIL, REFUSED, silence, an answer that is none
            log.info("mail_domain_unanswered", domain=name.to_text(omit_final_dot=True), error=type(error).__name__)
            return MailReason.NO_ANSWER

    async def _reason(self, name: dns.name.Name) -> MailReason:
        try:
            exchanges = [record.exchange for record in await self._ask(name, dns.rdatatype.MX)]
        except dns.resolver.NoAnswer:
            has_address = await self._has_address(name)
            return MailReason.ADDRESS_ONLY if has_address else MailReason.NO_MAIL_HOST
        except dns.resolver.NXDOMAIN:
            knows_parent = await self._knows_parent(name)
            return MailReason.NO_SUCH_DOMAIN if knows_parent else MailReason.NO_ANSWER
        return MailReason.NULL_MX if all(exchange == dns.name.root for exchange in exchanges) else MailReason.MX

    async def _has_address(self, name: dns.name.Name) -> bool:
        for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
            try:
                await self._ask(name, kind)
            except dns.resolver.NoAnswer:
                continue
            return True
        return False

    async def _knows_parent(self, name: dns.name.Name) -> bool:
        """Whether the resolver has the name servers of the top-level domain. One that is cut off from the public DNS, as in a
        closed network, may deny every name there is; its denial says nothing."""
        top = dns.name.Name(name.labels[-2:])
        key = top.to_text()
        if self._known_parents.get(key, 0.0) <= self._clock():
            try:
                await self._ask(top, dns.rdatatype.NS)
            except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
                return False
            self._known_parents[key] = self._clock() + self._ttl_s
        return True

    async def _ask(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.resolver.Answer:
        if self._resolver is None:
            raise dns.resolver.NoResolverConfiguration
        return await self._resolver.resolve(name, kind, search=False, lifetime=self._lifetime_s)

    def _keep(self, key: str, reason: MailReason) -> None:
        now = self._clock()
        if len(self._kept) >= _KEPT_MAX:
            self._kept = {name: entry for name, entry in self._kept.items() if entry[0] > now}
        self._kept[key] = (now + self._ttl_s, reason)


def system_resolver(configuration: str = "/etc/resolv.conf") -> dns.asyncresolver.Resolver | None:
    """The resolver that this machine is configured for, or None where it has none (logged: nothing will be inferred then)."""
    try:
        return dns.asyncresolver.Resolver(configuration)
    except dns.resolver.NoResolverConfiguration as error:
        log.warning("mail_dns_not_configured", error=str(error))
        return None


def is_disposable(domain: str) -> bool:
    """Whether a domain, or one above it, is a disposable-mail provider's."""
    host = normalized_host(domain)
    return host is not None and any(tail in _DISPOSABLE for tail in host_and_parents(host))


def _absolute_name(domain: str) -> dns.name.Name | None:
    host = normalized_host(domain)
    if host is None:
        return None
    try:
        return dns.name.from_text(f"{host}.")
    except dns.exception.DNSException:  # a label of more than 63 characters and the like: no name that could exist
        return None


def _listed() -> frozenset[str]:
    text = resources.files("web").joinpath("data/disposable_domains.toml").read_text(encoding="utf-8")
    return frozenset(tomllib.loads(text)["domains"])


_DISPOSABLE = _listed()
