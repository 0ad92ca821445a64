"""Looks up a model's quotes in the stored tool results. A claim whose quote is missing is dropped and counted.

A quote may differ only in white space, HTML entities, link markup, and typographic quotes and dashes.
"""

import html
import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import accumulate
from typing import ParamSpec, TypeVar

from domain.company.hosts import registrable_domain
from domain.evidence import Citation, Evidence
from store.tools.tool_results import ToolResult

P = ParamSpec("P")
T = TypeVar("T")
_LINK = re.compile(r"\[([^\]\[]*)\]\((?:[^()\s]|\([^()\s]*\))*\)")
_TYPOGRAPHY = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "‑": "-", "\u00a0": " "})
_QUOTE_MAX = 1000


def normalized(text: str) -> str:
    """Resolve HTML entities, unify typography and compatibility characters, and collapse white space."""
    folded = unicodedata.normalize("NFKC", html.unescape(text)).translate(_TYPOGRAPHY)
    return " ".join(folded.split())


def strip_links(text: str) -> str:
    """Replace ``[words](address)`` by ``words``."""
    return _LINK.sub(r"\1", text)


def contains(text: str, words: str) -> bool:
    return SearchableText(text).contains(words)


class SearchableText:
    """A text normalized once for repeated searches."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._with_links, self._without_links = normalized(text), normalized(strip_links(text))

    def find(self, words: str) -> str | None:
        """Return the words if the text contains them, else None.

        If only the link markup differs, return them without it: the link's address is then unproven.
        """
        for form, source in ((words, self._with_links), (strip_links(words), self._without_links)):
            wanted = normalized(form)
            if wanted and wanted in source:
                return form
        return None

    def contains(self, words: str) -> bool:
        return self.find(words) is not None

    def contains_normalized(self, words: str) -> bool:
        return words in self._without_links or words in self._with_links

    def original(self, words: str) -> str | None:
        """Return the printed form of normalized words, extended to whole tokens. None if the link markup differs."""
        text, starts, tokens = self._tokens
        at = text.find(words) if words else -1
        if at < 0:
            return None
        first, last = bisect_right(starts, at) - 1, bisect_right(starts, at + len(words) - 1) - 1
        return " ".join(tokens[first : last + 1])

    @cached_property
    def _tokens(self) -> tuple[str, list[int], list[str]]:
        """The normalized text, the start of each token in it, and each token as printed."""
        tokens = [(normalized(token), token) for token in self.text.split()]
        kept = [(folded, token) for folded, token in tokens if folded]
        starts = accumulate((len(folded) + 1 for folded, _ in kept), initial=0)
        return " ".join(folded for folded, _ in kept), [*starts][:-1], [token for _, token in kept]


class UnprovenError(Exception):
    """A claim does not hold. ``reason`` is a short code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Grounder:
    """Checks the claims of one answer against its tool results.

    Attributes:
        dropped: number of unproven claims by ``field:reason``.
    """

    def __init__(self, results: Mapping[str, ToolResult]) -> None:
        self._results = results
        self._texts: dict[str, SearchableText] = {}
        self.dropped: Counter[str] = Counter()

    def searchable_text(self, result: ToolResult) -> SearchableText:
        if result.result_id not in self._texts:
            self._texts[result.result_id] = SearchableText(result.text)
        return self._texts[result.result_id]

    def attempt(self, field: str, prove: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Call ``prove``. On ``UnprovenError``, count the claim as dropped and return None."""
        try:
            return prove(*args, **kwargs)
        except UnprovenError as error:
            self.dropped[f"{field}:{error.reason}"] += 1
            return None

    def prove(
        self,
        citation: Citation | None,
        *,
        values: Iterable[str] = (),
        company_domains: frozenset[str] | None = None,
    ) -> Evidence:
        """Return the evidence for a citation.

        Args:
            values: words that the quote must contain, in any case.
            company_domains: accept only pages of these registrable domains. None accepts any result.

        Raises:
            UnprovenError: the citation does not hold.
        """
        if citation is None:
            raise UnprovenError("no_citation")
        result = self._results.get(citation.result_id)
        if result is None or result.status != "ok":
            raise UnprovenError("unknown_result")
        if not citation.quote.strip() or len(citation.quote) > _QUOTE_MAX:
            raise UnprovenError("bad_quote")
        if company_domains is not None and not _is_page_of(result, company_domains):
            raise UnprovenError("other_source")
        quote = self.searchable_text(result).find(citation.quote)
        if quote is None:
            raise UnprovenError("quote_not_found")
        lowered = normalized(quote).casefold()
        if any(normalized(value).casefold() not in lowered for value in values):
            raise UnprovenError("value_not_in_quote")
        return Evidence(result_id=result.result_id, url=_source_url(result, quote), quote=" ".join(quote.split()))


def _is_page_of(result: ToolResult, company_domains: frozenset[str]) -> bool:
    return result.tool == "fetch_page" and registrable_domain(result.final_url) in company_domains


def _source_url(result: ToolResult, quote: str) -> str:
    if result.tool == "fetch_page":
        return result.final_url
    for hit in result.payload.get("results", []):
        if contains(f"{hit['title']}\n{hit['snippet']}\n{hit['url']}", quote):
            return str(hit["url"])
    return ""


def holds_address(text: str, address: str) -> bool:
    """Whether the text contains the whole email address, not as part of a longer one."""
    pattern = rf"(?<![\w.+%-]){re.escape(normalized(address))}(?![\w-]|\.\w)"
    return re.search(pattern, normalized(text), re.IGNORECASE) is not None


def number_forms(value: int) -> tuple[str, ...]:
    return (str(value), f"{value:,}")


def holds_number(quote: str, value: int) -> bool:
    """Whether the quote contains the whole number, not as part of a longer one."""
    return any(re.search(rf"(?<![\d,.]){re.escape(form)}(?![\d]|,\d|\.\d)", quote) for form in number_forms(value))
