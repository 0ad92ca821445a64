"""Loads ``rules.toml`` and finds the rule that matches an address.

Hosts are compared label by label from the right, never by substring.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib import resources
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from domain.company.hosts import host_and_parents
from domain.company.pms_detection import Confidence, SignalKind
from domain.company.pms_vendors import PmsVendor, PortalAccount, Product

AddressSource: TypeAlias = Literal["link", "frame", "loaded", "script", "redirect", "text"]
"""Where an address was found: link or form; iframe; script or stylesheet; script text; redirect; visible text."""


class PmsRule(BaseModel):
    """One ``[[rule]]``. The fields are explained in ``rules.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vendor: Product
    kind: Literal[SignalKind.PORTAL_LINK, SignalKind.LISTING_WIDGET, SignalKind.ASSET]
    domain: str
    subdomain: str
    path: str | None = None
    slug_in: Literal["subdomain", "path", "fragment", "none"]
    found_in: Literal["any", "link", "loaded"] = "any"
    call: str | None = None
    call_key: str | None = None
    exclude: tuple[str, ...] = ()
    confidence: Confidence | None = None
    example: str
    checked: date
    source: str = Field(min_length=1)

    @property
    def is_open(self) -> bool:
        """Whether the subdomain is a pattern, such as ``{slug}``."""
        return "{slug}" in self.subdomain or "*" in self.subdomain


@dataclass(frozen=True)
class Match:
    """The matching rule, the host in normal form, and the account if the address names one."""

    rule: PmsRule
    host: str
    slug: str | None


class RuleTable:
    """All rules by domain, in file order."""

    def __init__(self, rules: Sequence[PmsRule], vendor_pages: Iterable[str], never_a_slug: Iterable[str]) -> None:
        self.rules = tuple(rules)
        reserved = (*vendor_pages, *never_a_slug)
        self._by_domain: dict[str, list[_Compiled]] = {}
        # Called for every link of every page. Hosts repeat often.
        self._rules_of = lru_cache(maxsize=16_384)(self._find_rules)
        for rule in self.rules:
            self._by_domain.setdefault(rule.domain, []).append(_compile(rule, reserved))

    @property
    def domains(self) -> frozenset[str]:
        """Every registrable domain in the rules. None is a company's own."""
        return frozenset(self._by_domain)

    @property
    def calls(self) -> frozenset[tuple[str, str]]:
        """Script calls to look for, each with the argument that holds the host."""
        return frozenset((rule.call, rule.call_key) for rule in self.rules if rule.call and rule.call_key)

    def match(self, url: str, source: AddressSource) -> Match | None:
        """Return the first rule that matches an absolute or scheme-relative address, or None. Ignores the query."""
        for host, subdomain, target, compiled in self._rules_for(url):
            if source in compiled.sources and (slug := compiled.match(subdomain, target)) is not None:
                return Match(compiled.rule, host, slug or None)
        return None

    def match_call(self, call: str, host_or_url: str) -> Match | None:
        """Return the match for a script call whose host is an account of the vendor."""
        url = host_or_url if "//" in host_or_url else f"//{host_or_url}"
        for host, subdomain, _, compiled in self._rules_for(url):
            if compiled.rule.call == call and (slug := compiled.subdomain_slug(subdomain)) is not None:
                return Match(compiled.rule, host, slug or None)
        return None

    def owns(self, host: str) -> bool:
        """Whether a host in normal form is on a domain of the rules. This includes vendors' marketing pages."""
        return self._rules_of(host) is not None

    def _rules_for(self, url: str) -> Iterator[tuple[str, str, str, _Compiled]]:
        """Yield host, subdomain, path with fragment, and rule, for each rule of the domain."""
        address = split_address(url)
        found = self._rules_of(address[0]) if address else None
        if address and found:
            yield from ((address[0], found[0], address[1], compiled) for compiled in found[1])

    def _find_rules(self, host: str) -> tuple[str, list[_Compiled]] | None:
        for tail in host_and_parents(host):
            rules = self._by_domain.get(tail)
            if rules is not None:
                return host[: -len(tail) - 1], rules
        return None


def parse_rules(text: str) -> RuleTable:
    """Parse a rules file. Raises ValueError with the rule and field."""
    file = _RulesFile.model_validate(tomllib.loads(text))
    return RuleTable(file.rule, file.vendor_pages, file.never_a_slug)


@cache
def rule_table() -> RuleTable:
    return parse_rules(resources.files("pms").joinpath("rules.toml").read_text(encoding="utf-8"))


def portal_account(url: str) -> PortalAccount | None:
    """Return the PMS account of a portal address or host, or None if it names no account."""
    address = url.strip().replace("\\", "/")
    if "//" not in address.partition("?")[0]:
        if "@" in address.partition("/")[0]:  # an email address
            return None
        address = f"//{address}"
    found = rule_table().match(address, "link")
    if found is None or found.slug is None or not isinstance(found.rule.vendor, PmsVendor):
        return None
    return PortalAccount(vendor=found.rule.vendor, slug=found.slug)


def split_address(url: str) -> tuple[str, str] | None:
    """Split an absolute address into host and path with fragment, or return None.

    The host is lower case, without user, port or trailing dot. This is faster than ``domain.company.hosts.normalized_host``
    and runs on every link. It suffices because the rules have only ASCII hosts.
    """
    if url[:1] in "/#?" and url[1:2] not in ("/", "\\"):  # most links stay on their own site
        return None
    found = _ADDRESS.match(url)
    if found is None:
        return None
    fragment = found["fragment"]
    return found["host"].lower().rstrip("."), (found["path"] or "/") + (f"#{fragment}" if fragment else "")


# Browsers read a backslash as a slash, and drop the user before the last @.
_ADDRESS = re.compile(
    r"\s*(?:https?:)?[/\\]{2}(?:[^/\\?#]*@)?(?P<host>[^/\\?#:@\s]+)(?::\d*)?"
    r"(?P<path>[/\\][^?#]*)?(?:\?[^#]*)?(?:#(?P<fragment>.*))?$",
    re.IGNORECASE | re.DOTALL,
)
_SOURCES: dict[str, frozenset[AddressSource]] = {
    "any": frozenset({"link", "frame", "loaded", "script", "redirect", "text"}),
    "link": frozenset({"link"}),
    "loaded": frozenset({"frame", "loaded", "script"}),
}


class _RulesFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    vendor_pages: tuple[str, ...] = Field(min_length=1)
    never_a_slug: tuple[str, ...]
    rule: tuple[PmsRule, ...] = Field(min_length=1)


@dataclass(frozen=True)
class _Compiled:
    rule: PmsRule
    sources: frozenset[AddressSource]
    subdomain: re.Pattern[str]
    path: re.Pattern[str] | None
    reserved: tuple[str, ...]

    def match(self, subdomain: str, target: str) -> str | None:
        """Return the account (empty if the rule has none), or None if the rule does not match."""
        slug = self.subdomain_slug(subdomain)
        if slug is None or self.path is None:
            return slug
        found = self.path.match(target)
        if found is None:
            return None
        if self.rule.slug_in not in ("path", "fragment"):
            return slug
        return None if found["slug"].lower() in self.reserved else found["slug"]

    def subdomain_slug(self, subdomain: str) -> str | None:
        found = self.subdomain.fullmatch(subdomain)
        if found is None:
            return None
        if self.rule.is_open:
            labels = [found["slug"]] if self.rule.slug_in == "subdomain" else subdomain.split(".")
            if any(fnmatchcase(label, name) for label in labels for name in self.reserved):
                return None
        return found["slug"] if self.rule.slug_in == "subdomain" else ""


def _compile(rule: PmsRule, reserved: tuple[str, ...]) -> _Compiled:
    subdomain = re.escape(rule.subdomain).replace(r"\{slug\}", r"(?P<slug>[a-z0-9_][a-z0-9_-]*)")
    subdomain = r"[a-z0-9_.-]+" if rule.subdomain == "*" else subdomain.replace(r"\*", r"[a-z0-9_-]*")
    return _Compiled(
        rule=rule,
        sources=_SOURCES[rule.found_in],
        subdomain=re.compile(subdomain),
        path=None if rule.path is None else _path_pattern(rule.path),
        reserved=(*reserved, *rule.exclude),
    )


def _path_pattern(path: str) -> re.Pattern[str]:
    """Compile a path. A match must end at the end of a segment, unless the path ends with a star."""
    is_open = path.endswith("*") and not path.endswith("/*")
    body = re.escape(path.removesuffix("*") if is_open else path).replace("/", r"[/\\]")
    body = body.replace(r"\{slug\}", r"(?P<slug>[^/\\#;\s]+)").replace(r"\*", r"[^/\\#\s]+")
    return re.compile(body if is_open else rf"{body}(?=[/\\#;]|$)", re.IGNORECASE)
