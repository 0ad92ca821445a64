"""How a person or company that asked to be forgotten is recognised in stored texts, and what is left in its place.

Pure rules: patterns for names, addresses, domains and numbers as pages, JSON and addresses print them; redaction of texts, JSON
values and exported files. Where these things are stored is ``store/erasure/erase.py``. Only hashes stay (``digest``).
"""

import csv
import hashlib
import html
import io
import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from domain.company.hosts import host_and_parents, normalized_host
from domain.company.identity import normalized_company_name

MARK = "[forgotten]"
"""What stands where a name or an address was."""
# A pause between two words of a name, as text, HTML, JSON in JSON and addresses (jane-doe, jane%20doe) have it.
_PAUSE = r"(?:[\s+_.,\-\u2010-\u2015\u00a0]|%20|&nbsp;|&#160;|\\[nrt]|<[^<>]{0,200}>){1,8}"
_AT = r"\s*(?:@|%40|&#64;|&commat;|\\u0040|[\[({]\s*at\s*[\])}]|\sat\s)\s*"
_DOT = r"\s*(?:\.|%2e|[\[({]\s*dot\s*[\])}]|\sdot\s)\s*"
_AND = r"(?:and|\+|&(?:amp;)?|\\u0026|%26)"
# Bounded, and begun once a run of such characters: pages hold megabytes of them (images as text).
_ADDRESS = re.compile(
    rf"(?<![\w.+-])(?P<local>[\w.+-]{{1,64}}+){_AT}(?P<domain>[\w-]{{1,63}}(?:{_DOT}[\w-]{{1,63}}){{1,8}})",
    re.IGNORECASE,
)
_DOT_BETWEEN = re.compile(_DOT, re.IGNORECASE)
_SUPPRESSING_KEYS = frozenset({"suppress_domains"})  # a request's own list of whom not to deliver
_PHONE_DIGITS = 10

HashKind = Literal["email", "person", "domain"]


def digest(kind: HashKind, *parts: str) -> str:
    """What is kept of somebody who is forgotten: SHA-256 of a normalised address, domain, or domain and person key."""
    return hashlib.sha256("\n".join((kind, *parts)).encode()).hexdigest()


@dataclass(frozen=True)
class Traces:
    """All by which somebody is recognised.

    Attributes:
        domains: own domains and portal hosts of a company.
        emails: addresses in normal form. ``profiles``: addresses of profiles. ``phones``: E.164.
        names: of people. ``company_names``: of companies; both as printed.
        common_names: names that somebody else who is stored bears too, or of one word: they count only beside another trace.
        of_domains: where the people of ``names`` work.
    """

    domains: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    company_names: tuple[str, ...] = ()
    common_names: tuple[str, ...] = ()
    of_domains: tuple[str, ...] = ()


class Redactor:
    """Finds traces in texts and takes them out. ``beside`` says that a text is known to be about them."""

    def __init__(self, traces: Traces) -> None:
        common = set(traces.common_names)
        people = [name for name in traces.names if name not in common]
        firms = [name for name in traces.company_names if name not in common]
        self._traces = traces
        self._sure = _any(
            [
                *map(_email, traces.emails),
                *map(_host, traces.domains),
                *(re.escape(re.sub(r"^https?://(www\.)?", "", url).rstrip("/")) for url in traces.profiles),
                *map(_phone, traces.phones),
                *map(_person, people),
                *map(_firm, firms),
            ]
        )
        self._all_names = _any([*map(_person, traces.names), *map(_firm, traces.company_names)])
        self._common = _any(
            [
                *(_person(name) for name in traces.names if name in common),
                *(_firm(name) for name in traces.company_names if name in common),
            ]
        )

    def finds(self, value: Any) -> bool:
        """Whether a text, or any text in a JSON value, bears a trace that stands for itself."""
        return any(_found(self._sure, text) for text in _texts(value))

    def redacted(self, value: Any, *, beside: bool) -> Any:
        """The value with ``MARK`` in the place of every trace, common names only where ``beside``; itself if there is none."""
        if isinstance(value, str):
            text = self._sure.sub(MARK, value) if self._sure else value
            return self._common.sub(MARK, text) if beside and self._common else text
        if isinstance(value, Mapping):
            return {
                self.redacted(key, beside=beside): inner
                if key in _SUPPRESSING_KEYS
                else self.redacted(inner, beside=beside)
                for key, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.redacted(inner, beside=beside) for inner in value]
        return value

    def is_about(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of an exported file is theirs: the company's, or the person's."""
        cells = {name: str(value or "") for name, value in row.items()}
        sites = [cells[name] for name in ("domain", "company_domain", "website", "company_website") if cells.get(name)]
        if self._traces.domains and any(is_within(site, self._traces.domains) for site in sites):
            return True
        if self._traces.company_names:
            return not sites and _found(self._all_names, cells.get("company_name", ""))
        if cells.get("email", "").lower() in self._traces.emails:
            return True
        name = cells.get("full_name") or cells.get("person") or ""
        return _found(self._all_names, name) and any(is_within(site, self._traces.of_domains) for site in sites)

    def without_rows(self, content: bytes) -> tuple[bytes, int]:
        """An exported CSV file without their rows, and how many rows it has left."""
        reader = csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))
        columns = list(reader.fieldnames or ())
        rows = [row for row in reader if not self.is_about(row)]
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
        writer.writerow(columns)
        writer.writerows([self.redacted(row[column] or "", beside=False) for column in columns] for row in rows)
        return buffer.getvalue().encode("utf-8"), len(rows)

    def without_lines(self, content: bytes) -> bytes:
        """An exported JSON Lines file (the evidence) without their lines."""
        lines = [json.loads(line) for line in content.decode("utf-8").split("\n") if line.strip()]
        kept = [self.redacted(line, beside=False) for line in lines if not self.is_about(line)]
        dumped = (json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in kept)
        return "".join(f"{line}\n" for line in dumped).encode("utf-8")


def addresses_in(value: Any) -> set[str]:
    """The e-mail addresses that a text, or any text in a JSON value, bears in one of the spellings of ``Redactor``; in normal form.

    More than there are: where a domain may go on (``acme.com. Call``), both readings are given.
    """
    found = set()
    for text in _texts(value):
        for match in _ADDRESS.finditer(text):
            labels = _DOT_BETWEEN.split(match["domain"].lower())
            for end in range(2, len(labels) + 1):
                found.add(f"{match['local'].lower()}@{'.'.join(labels[:end])}")
    return found


def is_within(host_or_url: str, domains: Collection[str]) -> bool:
    """Whether a host or address belongs to one of the domains, or to a host below it."""
    host = normalized_host(host_or_url)
    return host is not None and any(tail in domains for tail in host_and_parents(host))


def split_names(names: Iterable[str], borne_by_others: Iterable[str], *, firms: bool) -> tuple[str, ...]:
    """Of these names, the common ones: of one word, or in a name that somebody else bears."""
    others = list(borne_by_others)
    pattern = _firm if firms else _person
    return tuple(
        name
        for name in names
        if len(normalized_company_name(name).split()) < 2
        or any(_found(_any([pattern(name)]), other) for other in others)
    )


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(key)
            if key not in _SUPPRESSING_KEYS:
                yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _any(patterns: Iterable[str]) -> re.Pattern[str] | None:
    # The longest first: an address before the domain in it.
    wanted = sorted({pattern for pattern in patterns if pattern}, key=lambda pattern: (-len(pattern), pattern))
    return re.compile("|".join(wanted), re.IGNORECASE) if wanted else None


def _found(pattern: re.Pattern[str] | None, text: str) -> bool:
    return pattern is not None and pattern.search(text) is not None


def _email(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return rf"(?<![\w.+-]){re.escape(local)}{_AT}{_DOT.join(map(re.escape, domain.split('.')))}(?![\w-])"


def _host(domain: str) -> str:
    # With the hosts below it and the mailboxes at it; not as the end of another name, nor as the beginning of one.
    return rf"(?<![\w.-])(?:[\w.+-]{{1,64}}(?:@|%40|&#64;))?(?:[\w-]{{1,63}}\.){{0,8}}{re.escape(domain)}(?![\w-]|\.[a-z]{{2,}}\b)"


def _phone(number: str) -> str:
    digits = number[-_PHONE_DIGITS:]
    return rf"(?<!\d)(?:\+?1[\s.-]{{0,2}})?\(?{digits[:3]}\)?[\s.-]{{0,3}}{digits[3:6]}[\s.-]{{0,2}}{digits[6:]}(?!\d)"


def _person(name: str) -> str:
    words = [word.strip(",.") for word in name.split() if word.strip(",.")]
    if not words:
        return ""
    spelled = [_spelled(word) for word in words]
    forms = [_PAUSE.join(spelled)]
    if len(words) > 1:
        forms.append(_PAUSE.join([spelled[-1], *spelled[:-1]]))  # Doe, Jane
    return rf"(?<![^\W_])(?:{'|'.join(forms)})(?![^\W_])"


def _firm(name: str) -> str:
    words = normalized_company_name(name).split()
    if not words:
        return ""
    printed = [_spelled(word.strip(",.")) for word in name.split() if word.strip(",.")]
    forms = {_PAUSE.join(_AND if word == "and" else _spelled(word) for word in words), _PAUSE.join(printed)}
    return rf"(?<![^\W_])(?:{'|'.join(sorted(forms, key=lambda form: (-len(form), form)))})(?![^\W_])"


def _spelled(word: str) -> str:
    return "".join(_letter(char) for char in unicodedata.normalize("NFC", word))


def _letter(char: str) -> str:
    """A letter in the ways it may be written: as it is, decomposed, without its accent, or escaped for HTML, JSON or an address."""
    if char.isascii() and char.isalnum():
        return re.escape(char)
    if char in "'\u2019\u2018`\u00b4":
        return r"(?:['\u2019\u2018`\u00b4]|&#?\w{2,6};|\\u00?27|\\u2019|%27|%E2%80%99)?"
    forms = {char, unicodedata.normalize("NFD", char), quote(char), html.escape(char), f"&#{ord(char)};"}
    forms |= {unicodedata.normalize("NFD", char)[0], f"&#x{ord(char):x};", json.dumps(char)[1:-1]}
    forms |= {f"&{entity}" for entity, meaning in html.entities.html5.items() if meaning == char}
    return f"(?:{'|'.join(sorted(map(re.escape, forms), key=lambda form: (-len(form), form)))})"
