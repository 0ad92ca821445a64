"""Finding a quote again in what was stored. A claim whose words are not there is dropped and counted.

Tolerant of white space, HTML entities, link markup and typographic quotes and dashes; of nothing else.
"""

import html
import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import accumulate

from domain.company.hosts import registrable_domain
from domain.evidence import Citation, Evidence
from store.tools.tool_results import ToolResult

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
    """Whether words stand in a text, with or without link markup."""
    return find_words(text, words) is not None


def find_words(text: str, words: str) -> str | None:
    """The words as they stand in a text: with their link markup, or without it where only the words are there (an
    address in the markup is then unproven); None when they do not stand there."""
    return SearchableText(text).find_words(words)


class SearchableText:
    """A text in which many words are looked for: made normalized once, since that takes long for a long page."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._with_links, self._without_links = normalized(text), normalized(strip_links(text))

    def find_words(self, words: str) -> str | None:
        """As the function of this name."""
        for form, source in ((words, self._with_links), (strip_links(words), self._without_links)):
            wanted = normalized(form)
            if wanted and wanted in source:
                return form
        return None

    def contains(self, words: str) -> bool:
        """As the function of this name."""
        return self.find_words(words) is not None

    def original_words(self, wanted: str) -> str | None:
        """Words that are normalized already, as the text has them, with the whole of the first and the last; None when they do not
        stand there with their link markup."""
        text, starts, tokens = self._printed
        at = text.find(wanted) if wanted else -1
        if at < 0:
            return None
        first, last = bisect_right(starts, at) - 1, bisect_right(starts, at + len(wanted) - 1) - 1
        return " ".join(tokens[first : last + 1])

    @cached_property
    def _printed(self) -> tuple[str, list[int], list[str]]:
        """The normalized text with, for each of its tokens, where it starts there and how it is printed."""
        tokens = [(normalized(token), token) for token in self.text.split()]
        kept = [(folded, token) for folded, token in tokens if folded]
        starts = accumulate((len(folded) + 1 for folded, _ in kept), initial=0)
        return " ".join(folded for folded, _ in kept), [*starts][:-1], [token for _, token in kept]

    def holds(self, wanted: str) -> bool:
        """Whether words that are normalized already stand in the text."""
        return wanted in self._without_links or wanted in self._with_links


class Grounder:
    """Checks the citations of one agent's answer against the tool results it was shown."""

    def __init__(self, results: Mapping[str, ToolResult]) -> None:
        self._results = results
        self._haystacks: dict[str, SearchableText] = {}
        self.dropped: Counter[str] = Counter()

    def searchable_text(self, result: ToolResult) -> SearchableText:
        """A result's text to look for words in."""
        if result.result_id not in self._haystacks:
            self._haystacks[result.result_id] = SearchableText(result.text)
        return self._haystacks[result.result_id]

    def evidence(
        self,
        field: str,
        citation: Citation | None,
        *,
        values: Iterable[str] = (),
        company_domains: frozenset[str] | None = None,
    ) -> Evidence | None:
        """Evidence for a claim, or None after counting under ``dropped`` why there is none.

        Args:
            field: what is claimed, for the count.
            values: words that the quote itself must hold (in any case).
            company_domains: registrable domains that the source must belong to; None accepts any source.
        """
        problem = self._problem(citation, values, company_domains)
        if problem is not None or citation is None:
            self.dropped[f"{field}:{problem or 'no_citation'}"] += 1
            return None
        result = self._results[citation.result_id]
        quote = self.searchable_text(result).find_words(citation.quote) or ""
        return Evidence(result_id=result.result_id, url=_url(result, quote), quote=" ".join(quote.split()))

    def _problem(
        self, citation: Citation | None, values: Iterable[str], company_domains: frozenset[str] | None
    ) -> str | None:
        if citation is None:
            return "no_citation"
        result = self._results.get(citation.result_id)
        if result is None or result.status != "ok":
            return "unknown_result"
        if not citation.quote.strip() or len(citation.quote) > _QUOTE_MAX:
            return "bad_quote"
        if company_domains is not None and (
            result.tool != "fetch_page" or registrable_domain(result.final_url) not in company_domains
        ):
            return "other_source"
        found = self.searchable_text(result).find_words(citation.quote)
        if found is None:
            return "quote_not_found"
        quote = normalized(found).casefold()
        if any(normalized(value).casefold() not in quote for value in values):
            return "value_not_in_quote"
        return None


def _url(result: ToolResult, quote: str) -> str:
    if result.tool == "fetch_page":
        return result.final_url
    for hit in result.payload.get("results", []):
        if contains(f"{hit['title']}\n{hit['snippet']}\n{hit['url']}", quote):
            return str(hit["url"])
    return ""


def holds_address(text: str, address: str) -> bool:
    """Whether a text holds a mail address as a whole, not as the tail or head of a longer one."""
    pattern = rf"(?<![\w.+%-]){re.escape(normalized(address))}(?![\w-]|\.\w)"
    return re.search(pattern, normalized(text), re.IGNORECASE) is not None


def number_forms(value: int) -> tuple[str, ...]:
    """How a page may print a number: ``1240`` and ``1,240``."""
    return (str(value), f"{value:,}")


def holds_number(quote: str, value: int) -> bool:
    """Whether a quote holds a number as a number of its own, not as a part of a longer one."""
    return any(re.search(rf"(?<![\d,.]){re.escape(form)}(?![\d]|,\d|\.\d)", quote) for form in number_forms(value))
