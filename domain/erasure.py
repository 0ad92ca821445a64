"""Find a person or company that asked to be forgotten in stored texts and exported files, and redact both."""

import csv
import hashlib
import html
import io
import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from domain.company.hosts import host_and_parents, normalized_host
from domain.company.identity import normalized_company_name

MARK = "[forgotten]"
"""Replaces a forgotten name or address."""
# Separators between words of a name in text, HTML, escaped JSON and URLs (jane-doe, jane%20doe).
_GAP = r"(?:[\s+_.,\-\u2010-\u2015\u00a0]|%20|&nbsp;|&#160;|\\[nrt]|<[^<>]{0,200}>){1,8}"
_AT = r"\s*(?:@|%40|&#64;|&commat;|\\u0040|[\[({]\s*at\s*[\])}]|\sat\s)\s*"
_DOT = r"\s*(?:\.|%2e|[\[({]\s*dot\s*[\])}]|\sdot\s)\s*"
_AND = r"(?:and|\+|&(?:amp;)?|\\u0026|%26)"
# Possessive and bounded, because inline images contain megabytes of such characters.
_ADDRESS = re.compile(
    rf"(?<![\w.+-])(?P<local>[\w.+-]{{1,64}}+){_AT}(?P<domain>[\w-]{{1,63}}(?:{_DOT}[\w-]{{1,63}}){{1,8}})",
    re.IGNORECASE,
)
_DOT_BETWEEN = re.compile(_DOT, re.IGNORECASE)
_KEPT_KEYS = frozenset({"suppress_domains"})  # domains that a request excludes; not redacted
_PHONE_DIGITS = 10

HashKind = Literal["email", "person", "domain"]


def digest(kind: HashKind, *parts: str) -> str:
    """Return the SHA-256 hash to store for a forgotten address, domain, or person (domain and person key)."""
    return hashlib.sha256("\n".join((kind, *parts)).encode()).hexdigest()


class Traces(BaseModel):
    """Everything that identifies a person or company. Names are as printed.

    Attributes:
        domains: a company's own domains and portal hosts.
        phones: E.164 numbers.
        common_names: names with only one word, or shared with others. They count only together with another trace.
        work_domains: domains of the companies where ``names`` work.
    """

    model_config = ConfigDict(frozen=True)

    domains: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    company_names: tuple[str, ...] = ()
    common_names: tuple[str, ...] = ()
    work_domains: tuple[str, ...] = ()


class Redactor:
    def __init__(self, traces: Traces) -> None:
        self._traces = traces
        names = [(name, _person(name)) for name in traces.names]
        names += [(name, _company(name)) for name in traces.company_names]
        self._names = _any_of(pattern for _, pattern in names)
        self._common = _any_of(pattern for name, pattern in names if name in traces.common_names)
        self._sure = _any_of(
            [
                *map(_email, traces.emails),
                *map(_host, traces.domains),
                *(re.escape(re.sub(r"^https?://(www\.)?", "", url).rstrip("/")) for url in traces.profiles),
                *map(_phone, traces.phones),
                *(pattern for name, pattern in names if name not in traces.common_names),
            ]
        )

    def finds(self, value: Any) -> bool:
        """Whether any text in a JSON value contains a trace other than a common name."""
        return any(self._sure.search(text) for text in _texts(value))

    def redact(self, value: Any, *, cited: bool = False) -> Any:
        """Return a JSON value with the traces replaced.

        If its only traces are ``common_names``, it stays unchanged, unless it is ``cited`` as evidence about the erased person or
        company.
        """
        return self._replaced(value) if cited or self.finds(value) else value

    def _replaced(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._common.sub(MARK, self._sure.sub(MARK, value))
        if isinstance(value, Mapping):
            return {
                self._replaced(key): inner if key in _KEPT_KEYS else self._replaced(inner)
                for key, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._replaced(inner) for inner in value]
        return value

    def redact_csv(self, content: bytes) -> tuple[bytes, int]:
        """Remove rows about the forgotten person or company, and redact the others. Return the file and its number of rows."""
        reader = csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))
        rows = [self.redact(row) for row in reader if not self._is_about(row)]
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, reader.fieldnames or (), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return buffer.getvalue().encode("utf-8"), len(rows)

    def redact_json_lines(self, content: bytes) -> bytes:
        """Remove lines about the forgotten person or company, and redact the others."""
        lines = [json.loads(line) for line in content.decode("utf-8").split("\n") if line.strip()]
        kept = (self.redact(line) for line in lines if not self._is_about(line))
        dumped = (json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in kept)
        return "".join(f"{line}\n" for line in dumped).encode("utf-8")

    def _is_about(self, row: Mapping[str, Any]) -> bool:
        cells = {name: str(value or "") for name, value in row.items()}
        sites = [cells[name] for name in ("domain", "company_domain", "website", "company_website") if cells.get(name)]
        if any(is_within(site, self._traces.domains) for site in sites):
            return True
        if self._traces.company_names:
            return not sites and bool(self._names.search(cells.get("company_name", "")))
        if cells.get("email", "").lower() in self._traces.emails:
            return True
        name = cells.get("full_name") or cells.get("person") or ""
        return bool(self._names.search(name)) and any(is_within(site, self._traces.work_domains) for site in sites)


def addresses_in(value: Any) -> set[str]:
    """Return the email addresses in a JSON value, in every spelling that ``Redactor`` recognises.

    If the end of a domain is unclear (``acme.com. Call``), return every possible address.
    """
    found = set()
    for text in _texts(value):
        for match in _ADDRESS.finditer(text):
            labels = _DOT_BETWEEN.split(match["domain"].lower())
            for end in range(2, len(labels) + 1):
                found.add(f"{match['local'].lower()}@{'.'.join(labels[:end])}")
    return found


def is_within(host_or_url: str, domains: Collection[str]) -> bool:
    host = normalized_host(host_or_url)
    return host is not None and any(name in domains for name in host_and_parents(host))


def common_names(names: Iterable[str], names_of_others: Iterable[str], *, of_companies: bool) -> tuple[str, ...]:
    """Return the names that have only one word or occur in somebody else's name."""
    others, pattern = list(names_of_others), _company if of_companies else _person
    return tuple(
        name
        for name in names
        if len(normalized_company_name(name).split()) < 2
        or any(re.search(pattern(name), other, re.IGNORECASE) for other in others)
    )


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(key)
            if key not in _KEPT_KEYS:
                yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """Join patterns into one, longest first (an address before its domain). Without patterns, it matches nothing."""
    wanted = sorted({pattern for pattern in patterns if pattern}, key=lambda pattern: (-len(pattern), pattern))
    return re.compile("|".join(wanted) or r"(?!)", re.IGNORECASE)


def _email(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return rf"(?<![\w.+-]){re.escape(local)}{_AT}{_DOT.join(map(re.escape, domain.split('.')))}(?![\w-])"


def _host(domain: str) -> str:
    # Also matches subdomains and mailboxes, but no part of another domain.
    return rf"(?<![\w.-])(?:[\w.+-]{{1,64}}(?:@|%40|&#64;))?(?:[\w-]{{1,63}}\.){{0,8}}{re.escape(domain)}(?![\w-]|\.[a-z]{{2,}}\b)"


def _phone(number: str) -> str:
    digits = number[-_PHONE_DIGITS:]
    return rf"(?<!\d)(?:\+?1[\s.-]{{0,2}})?\(?{digits[:3]}\)?[\s.-]{{0,3}}{digits[3:6]}[\s.-]{{0,2}}{digits[6:]}(?!\d)"


def _person(name: str) -> str:
    words = _printed_words(name)
    return _name([words, [*words[-1:], *words[:-1]]])  # also "Doe, Jane"


def _company(name: str) -> str:
    words = [_AND if word == "and" else _spellings(word) for word in normalized_company_name(name).split()]
    return _name([words, _printed_words(name)]) if words else ""


def _printed_words(name: str) -> list[str]:
    return [_spellings(word.strip(",.")) for word in name.split() if word.strip(",.")]


def _name(forms: list[list[str]]) -> str:
    joined = {_GAP.join(words) for words in forms if words}
    if not joined:
        return ""
    return rf"(?<![^\W_])(?:{'|'.join(sorted(joined, key=lambda form: (-len(form), form)))})(?![^\W_])"


def _spellings(word: str) -> str:
    return "".join(map(_letter, unicodedata.normalize("NFC", word)))


def _letter(char: str) -> str:
    """Match a letter as it is, decomposed, without accent, or escaped for HTML, JSON or a URL."""
    if char.isascii() and char.isalnum():
        return re.escape(char)
    if char in "'\u2019\u2018`\u00b4":
        return r"(?:['\u2019\u2018`\u00b4]|&#?\w{2,6};|\\u00?27|\\u2019|%27|%E2%80%99)?"
    decomposed = unicodedata.normalize("NFD", char)
    forms = {char, decomposed, decomposed[0], quote(char), html.escape(char), json.dumps(char)[1:-1]}
    forms |= {f"&#{ord(char)};", f"&#x{ord(char):x};"}
    forms |= {f"&{entity}" for entity, meaning in html.entities.html5.items() if meaning == char}
    return f"(?:{'|'.join(sorted(map(re.escape, forms), key=lambda form: (-len(form), form)))})"
