"""A small search index over the pages of a world: BM25, weights for title and host, and a prior for each kind of page.

Pure. `search.py` serves it over HTTP.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from math import log

from local.demo.entities import Page, World
from local.demo.geo import STATE_NAMES

K1, B = 1.2, 0.6  # BM25's usual K1; a lower B, because pages are short
TITLE_WEIGHT, HOST_WEIGHT = 4, 2  # a word in the title counts four times
COMMON = 0.1  # a word on a larger share of pages than this only ranks pages that other words found
PER_HOST = 2  # like real engines, show at most two results per host
# For "companies in X", a home page or a list is a better answer than a listing portal.
PRIOR = {"home": 1.35, "list": 1.5, "profile": 1.0, "about": 0.8, "contact": 0.75, "team": 0.8, "rentals": 0.7,
         "other": 0.7, "noise": 0.6}  # fmt: skip

_WORD = re.compile(r"[^\W_]+")
_STATES = re.compile(r"\b(" + "|".join(STATE_NAMES.values()) + r")\b", re.IGNORECASE)
_CODES = {name.casefold(): code.casefold() for code, name in STATE_NAMES.items()}
_STOP = frozenset(re.findall(r"\w+", "the a an of in for and or to near best top list is on with by at our we"))


@dataclass(frozen=True, slots=True)
class Hit:
    """A page that matches a query. Scores of different queries cannot be compared."""

    url: str
    title: str
    content: str
    score: float


@dataclass(frozen=True, slots=True)
class _Query:
    words: list[str]
    phrases: list[str]
    excluded: list[str]
    hosts: list[str]
    excluded_hosts: list[str]


class SearchIndex:
    """The index of one world. Takes about a second to build and a few milliseconds per query."""

    def __init__(self, world: World) -> None:
        self._docs: list[tuple[str, Page]] = [
            (site.host, page) for site in world.sites.values() if site.searchable for page in site.pages.values()
        ]
        self._www = {c.domain: (c.website or "").rstrip("/") for c in world.companies if c.domain}
        counts = [_weigh(host, page) for host, page in self._docs]
        lengths = [sum(c.values()) for c in counts]
        average = sum(lengths) / len(lengths)
        frequency = Counter(word for c in counts for word in c)
        self._postings: dict[str, dict[int, float]] = {word: {} for word in frequency}
        total = len(self._docs)
        rarity = {w: log(1 + (total - n + 0.5) / (n + 0.5)) for w, n in frequency.items()}
        for doc, (words, length) in enumerate(zip(counts, lengths, strict=True)):
            damp = K1 * (1 - B + B * length / average)
            for word, n in words.items():
                self._postings[word][doc] = rarity[word] * n * (K1 + 1) / (n + damp)

    def search(self, text: str, *, offset: int = 0, limit: int = 10) -> tuple[int, list[Hit]]:
        """Return the number of matching pages (at most 200) and the hits from `offset`, best first.

        Understands "phrases", -word, site: and -site:. Equal scores stay in the order of the world.
        """
        query = _parse(text)
        scores: dict[int, float] = {}
        matched: dict[int, int] = {}
        found_words = [self._postings[word] for word in query.words if word in self._postings]
        for postings in sorted(found_words, key=len):
            # A common word ("property") only ranks pages that rarer words found.
            common = scores and len(postings) > COMMON * len(self._docs)
            for doc in list(scores) if common else postings:
                if doc in postings:
                    scores[doc] = scores.get(doc, 0.0) + postings[doc]
                    matched[doc] = matched.get(doc, 0) + 1
        if not query.words and query.hosts:
            scores = {doc: 1.0 for doc, (host, _) in enumerate(self._docs) if _on(host, query.hosts)}
            matched = dict.fromkeys(scores, 0)
        need = max(1, len(query.words))
        for doc in scores:
            # A page with every query word beats one with a single rare word.
            scores[doc] *= PRIOR[self._docs[doc][1].kind] * (0.25 + 0.75 * (matched[doc] / need) ** 2)
        ranked = sorted(scores, key=lambda doc: (-scores[doc], doc))
        per_host: Counter[str] = Counter()
        found: list[int] = []
        for doc in ranked:
            host, page = self._docs[doc]
            if not self._admits(query, host, page) or (not query.hosts and per_host[host] >= PER_HOST):
                continue
            per_host[host] += 1
            found.append(doc)
            if len(found) >= 200:  # twenty pages; real engines stop earlier
                break
        return len(found), [self._hit(doc, scores[doc], query.words) for doc in found[offset : offset + limit]]

    def _hit(self, doc: int, score: float, words: list[str]) -> Hit:
        host, page = self._docs[doc]
        return Hit(self._url(host, page), page.title, _snippet(page, words), round(score, 4))

    @staticmethod
    def _admits(query: _Query, host: str, page: Page) -> bool:
        if query.hosts and not _on(host, query.hosts):
            return False
        if _on(host, query.excluded_hosts):
            return False
        if not query.phrases and not query.excluded:
            return True
        plain = f"{page.title} {page.text}".casefold()
        return all(p in plain for p in query.phrases) and not any(w in plain for w in query.excluded)

    def _url(self, host: str, page: Page) -> str:
        return self._www.get(host, f"http://{host}") + page.path


def _weigh(host: str, page: Page) -> Counter[str]:
    words = Counter(_terms(page.text))
    for word in _terms(page.title):
        words[word] += TITLE_WEIGHT
    for word in _terms(host.removesuffix(".example").replace("-", " ")):
        words[word] += HOST_WEIGHT
    return words


def _terms(text: str) -> list[str]:
    short = _STATES.sub(lambda m: _CODES[m.group().casefold()], text).casefold()
    return [_stem(word) for word in _WORD.findall(short) if word not in _STOP]


@lru_cache(maxsize=50_000)
def _stem(word: str) -> str:
    """Return the stem. All forms of "manage" have the same one; plurals lose their ending."""
    if word.startswith("manag"):
        return "manag"
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def _parse(text: str) -> _Query:
    excluded = [p.casefold() for p in re.findall(r'(?<!\S)-"([^"]+)"', text)]
    text = re.sub(r'(?<!\S)-"[^"]+"', " ", text)
    phrases = [p.casefold() for p in re.findall(r'"([^"]+)"', text)]
    words, hosts, excluded_hosts = [], [], []
    for token in text.replace('"', " ").split():
        bare = token.casefold()
        if bare.startswith("-site:"):
            excluded_hosts.append(bare[6:])
        elif bare.startswith("site:"):
            hosts.append(bare[5:])
        elif bare.startswith("-") and len(bare) > 1:
            excluded.append(bare[1:])
        elif token not in ("OR", "AND"):
            words.append(token)
    return _Query(list(dict.fromkeys(_terms(" ".join(words)))), phrases, excluded, hosts, excluded_hosts)


def _on(host: str, wanted: list[str]) -> bool:
    plain = [w.removeprefix("http://").removeprefix("www.").strip("/") for w in wanted]
    return any(host == w or host.endswith(f".{w}") for w in plain)


def _snippet(page: Page, words: list[str]) -> str:
    """Return about 200 characters from the first matching word, or the page's description."""
    for match in _WORD.finditer(page.text):
        if _stem(match.group().casefold()) in words:
            start = max(0, page.text.rfind(". ", 0, match.start()) + 2 if match.start() > 60 else 0)
            cut = page.text[start : start + 220]
            return cut if len(cut) < 220 else cut.rsplit(" ", 1)[0] + " ..."
    return page.description
