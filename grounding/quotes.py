"""Finds a model's quotes again in stored tool results. A claim whose words are not there is dropped and counted.

White space, HTML entities, link markup, typographic quotes and dashes may differ. Nothing else may.
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
    """Text with entities resolved, compatibility forms and typography folded, and single spaces."""
    folded = unicodedata.normalize("NFKC", html.unescape(text)).translate(_TYPOGRAPHY)
    return " ".join(folded.split())


def strip_links(text: str) -> str:
    """Text with ``[words](address)`` reduced to its words."""
    return _LINK.sub(r"\1", text)


def contains(text: str, words: str) -> bool:
    """Whether the text holds the words, with or without link markup."""
    return SearchableText(text).contains(words)


class SearchableText:
    """A text to search many times, normalized once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._with_links, self._without_links = normalized(text), normalized(strip_links(text))

    def find(self, words: str) -> str | None:
        """The words, without their link markup if only that differs: an address in the markup is then unproven."""
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
        """Normalized words as the text prints them, the first and the last in full. None without the same link markup."""
        text, starts, tokens = self._tokens
        at = text.find(words) if words else -1
        if at < 0:
            return None
        first, last = bisect_right(starts, at) - 1, bisect_right(starts, at + len(words) - 1) - 1
        return " ".join(tokens[first : last + 1])

    @cached_property
    def _tokens(self) -> tuple[str, list[int], list[str]]:
        """The normalized text; where each token starts in it; each token as printed."""
        tokens = [(normalized(token), token) for token in self.text.split()]
        kept = [(folded, token) for folded, token in tokens if folded]
        starts = accumulate((len(folded) + 1 for folded, _ in kept), initial=0)
        return " ".join(folded for folded, _ in kept), [*starts][:-1], [token for _, token in kept]


class UnprovenError(Exception):
    """A claim does not hold; ``reason`` is a short code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Grounder:
    """Checks the claims of one answer against the tool results behind it.

    Attributes:
        dropped: count of unproven claims by ``field:reason``.
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
        """What ``prove`` returns; None, and a count, if it raises ``UnprovenError``."""
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
        """The evidence for a citation.

        Args:
            values: words that the quote must hold, in any case.
            company_domains: registrable domains of the pages that count; None accepts any result.

        Raises:
            UnprovenError
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
    """Whether a text holds an email address as a whole, not inside a longer one."""
    pattern = rf"(?<![\w.+%-]){re.escape(normalized(address))}(?![\w-]|\.\w)"
    return re.search(pattern, normalized(text), re.IGNORECASE) is not None


def number_forms(value: int) -> tuple[str, ...]:
    """A number as pages print it: ``1240`` and ``1,240``."""
    return (str(value), f"{value:,}")


def holds_number(quote: str, value: int) -> bool:
    """Whether a quote holds a number as a whole, not inside a longer one."""
    return any(re.search(rf"(?<![\d,.]){re.escape(form)}(?![\d]|,\d|\.\d)", quote) for form in number_forms(value))
