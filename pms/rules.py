"""The rules file made usable: typed, checked, compiled, and one question answered: which rule fits this address?

The patterns are data in ``rules.toml``, which also says what each field means. Reading pages is ``signals.py``.
Hosts are compared label by label from the right (registrable domain, then what stands before it), never by substring.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib import resources
from typing import Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from domain.company.hosts import host_and_parents, registrable_domain
from domain.company.pms_detection import Confidence, SignalKind
from domain.company.pms_vendors import PmsVendor, PortalAccount, Product, category_of

Place: TypeAlias = Literal["link", "frame", "loaded", "script", "redirect", "text"]
"""Where an address stands: link or form; iframe; script or stylesheet; words of a script; redirect; visible text."""


class RuleError(ValueError):
    """A rules file that cannot be used; the message names the rule and the field."""


class PmsRule(BaseModel):
    """One ``[[rule]]``; the fields are explained at the head of ``rules.toml``."""

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
        """Whether the subdomain is a pattern, so that any name could stand there."""
        return "{slug}" in self.subdomain or "*" in self.subdomain

    @model_validator(mode="after")
    def _fields_fit_together(self) -> Self:
        if registrable_domain(self.domain) != self.domain:
            raise ValueError(f"domain: {self.domain!r} is not a registrable domain")
        if not re.fullmatch(r"|\*|(?:[a-z0-9-]+|\{slug\}|[a-z0-9-]*\*)(?:\.[a-z0-9-]+)*", self.subdomain):
            raise ValueError(f"subdomain: {self.subdomain!r} is neither a name nor a pattern")
        if self.path is not None and not re.fullmatch(r"/[^?\s]*", self.path):
            raise ValueError(f"path: {self.path!r} does not begin with / or holds a query")
        if self.slug_in != _slug_place(self):
            raise ValueError(f"slug_in: says {self.slug_in}, but the {{slug}} stands in: {_slug_place(self)}")
        if self.exclude and not self.is_open:
            raise ValueError("exclude: a rule for one named host has nothing to exclude")
        if (self.call is None) != (self.call_key is None):
            raise ValueError("call_key: call and call_key come together")
        if (self.confidence is None) != (category_of(self.vendor) == "add_on"):
            raise ValueError("confidence: every rule has one, except those of add-ons")
        return self


@dataclass(frozen=True)
class Match:
    """The rule that fits an address, the host in normal form, and the account where the address holds one."""

    rule: PmsRule
    host: str
    slug: str | None


class RuleTable:
    """All rules, indexed by domain, in the order of the file."""

    def __init__(self, rules: Sequence[PmsRule], vendor_pages: Iterable[str], never_a_slug: Iterable[str]) -> None:
        self.rules = tuple(rules)
        reserved = (*vendor_pages, *never_a_slug)
        self._by_domain: dict[str, list[_Compiled]] = {}
        # Every link of every page asks; hosts repeat far more than addresses do.
        self._rules_of = lru_cache(maxsize=16_384)(self._find_rules)
        for rule in self.rules:
            self._by_domain.setdefault(rule.domain, []).append(_compile(rule, reserved))

    @property
    def domains(self) -> frozenset[str]:
        """Every registrable domain the rules speak of: none of them is ever a company's own."""
        return frozenset(self._by_domain)

    @property
    def calls(self) -> frozenset[tuple[str, str]]:
        """Script calls to look for, with the key of the argument that holds the host."""
        return frozenset((rule.call, rule.call_key) for rule in self.rules if rule.call and rule.call_key)

    def match(self, url: str, place: Place) -> Match | None:
        """The first rule that fits an absolute http(s) or scheme-relative address found in that place, or None.

        The query never counts: an address carried inside another one is not where the link leads.
        """
        address = split_address(url)
        if address is None:
            return None
        host, target = address
        found = self._rules_of(host)
        if found is None:
            return None
        subdomain, rules = found
        for compiled in rules:
            if place not in compiled.places:
                continue
            slug = compiled.fits(subdomain, target)
            if slug is not None:
                return Match(compiled.rule, host, slug or None)
        return None

    def match_call(self, call: str, host_or_url: str) -> Match | None:
        """The rule of a script call, when the host it is given is one of that vendor's accounts."""
        address = split_address(host_or_url if "//" in host_or_url else f"//{host_or_url}")
        found = self._rules_of(address[0]) if address else None
        if address is None or found is None:
            return None
        for compiled in found[1]:
            if compiled.rule.call == call and (slug := compiled.subdomain_slug(found[0])) is not None:
                return Match(compiled.rule, address[0], slug or None)
        return None

    def owns(self, host: str) -> bool:
        """Whether a host in normal form belongs to one of the products, marketing pages included."""
        return self._rules_of(host) is not None

    def _find_rules(self, host: str) -> tuple[str, list[_Compiled]] | None:
        for tail in host_and_parents(host):
            rules = self._by_domain.get(tail)
            if rules is not None:
                return host[: -len(tail) - 1], rules
        return None


def parse_rules(text: str) -> RuleTable:
    """A rules file, checked as a whole.

    Raises:
        RuleError: bad TOML, a missing or unknown key, a field that breaks its rule, a named vendor page without a
            path, or an example that another rule, or none, fits.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RuleError(f"not TOML: {error}") from error
    try:
        file = _RulesFile.model_validate(data)
    except ValidationError as error:
        raise RuleError(_explain(data, error)) from error
    table = RuleTable(file.rule, file.vendor_pages, file.never_a_slug)
    for number, rule in enumerate(file.rule, start=1):
        if rule.subdomain in {"", *file.vendor_pages} and rule.path is None and rule.kind is not SignalKind.ASSET:
            raise RuleError(f"{_name(number, rule.vendor)}: path: a vendor's own page proves nothing without one")
        place: Place = "loaded" if rule.found_in == "loaded" else "link"
        found = table.match(rule.example, place)
        if found is None or found.rule is not rule:
            fits = "no rule" if found is None else f"the earlier rule of {found.rule.vendor} {found.rule.example}"
            raise RuleError(f"{_name(number, rule.vendor)}: example: {rule.example} fits {fits}")
        if (found.slug is None) != (rule.slug_in == "none"):
            raise RuleError(f"{_name(number, rule.vendor)}: slug_in: no account in {rule.example}")
    return table


@cache
def rule_table() -> RuleTable:
    """The rules this project ships, read once.

    Raises:
        RuleError: the file is not usable.
    """
    return parse_rules(resources.files("pms").joinpath("rules.toml").read_text(encoding="utf-8"))


def portal_account(url: str) -> PortalAccount | None:
    """The PMS account a portal address (or bare portal host) belongs to; None when it holds no account name."""
    address = url.strip().replace("\\", "/")
    if "//" not in address.partition("?")[0]:
        if "@" in address.partition("/")[0]:  # an e-mail address is no portal
            return None
        address = f"//{address}"
    found = rule_table().match(address, "link")
    if found is None or found.slug is None or not isinstance(found.rule.vendor, PmsVendor):
        return None
    return PortalAccount(vendor=found.rule.vendor, slug=found.slug)


def split_address(url: str) -> tuple[str, str] | None:
    """Host (lower case, no user, port or trailing dot) and path with fragment of an absolute address, or None.

    Leaner than ``domain.company.hosts.normalized_host``: it runs on every link of every page, and the rules know only ASCII
    hosts.
    """
    if url[:1] in "/#?" and url[1:2] not in ("/", "\\"):  # most links: they stay on their own site
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
_PLACES: dict[str, frozenset[Place]] = {
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
    places: frozenset[Place]
    subdomain: re.Pattern[str]
    path: re.Pattern[str] | None
    reserved: tuple[str, ...]

    def fits(self, subdomain: str, target: str) -> str | None:
        """The account, empty when the rule knows none; None when the rule does not fit."""
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
        places=_PLACES[rule.found_in],
        subdomain=re.compile(subdomain),
        path=None if rule.path is None else _path_pattern(rule.path),
        reserved=(*reserved, *rule.exclude),
    )


def _path_pattern(path: str) -> re.Pattern[str]:
    """The beginning of path and fragment, up to the end of a segment unless the pattern ends in a star."""
    goes_on = path.endswith("*") and not path.endswith("/*")
    body = re.escape(path.removesuffix("*") if goes_on else path).replace("/", r"[/\\]")
    body = body.replace(r"\{slug\}", r"(?P<slug>[^/\\#;\s]+)").replace(r"\*", r"[^/\\#\s]+")
    return re.compile(body if goes_on else rf"{body}(?=[/\\#;]|$)", re.IGNORECASE)


def _slug_place(rule: PmsRule) -> str:
    before, _, fragment = (rule.path or "").partition("#")
    places = [("subdomain", rule.subdomain), ("path", before), ("fragment", fragment)]
    return " and ".join(name for name, pattern in places if "{slug}" in pattern) or "none"


def _name(number: int, vendor: object) -> str:
    return f"rule {number} ({vendor})"


def _explain(data: dict[str, object], error: ValidationError) -> str:
    """The first complaint, with the number and vendor of the rule and the field."""
    first = error.errors(include_url=False)[0]
    location = [part for part in first["loc"] if isinstance(part, str | int)]
    message = first["msg"].removeprefix("Value error, ")
    rules = data.get("rule")
    if len(location) < 2 or location[0] != "rule" or not isinstance(location[1], int) or not isinstance(rules, list):
        return f"{location[0] if location else 'file'}: {message}"
    raw = rules[location[1]]
    name = _name(location[1] + 1, raw.get("vendor", "no vendor") if isinstance(raw, dict) else raw)
    return f"{name}: {location[2]}: {message}" if len(location) > 2 else f"{name}: {message}"
