"""A page as text that can be read and quoted: everything the page shows, with its links in place.

Pure: HTML in, text out. Article extractors lose phones, addresses, team names and portal links of a company page
(DESIGN, "Facts measured here"), so nothing is judged unimportant here; only scripts, styles and hidden
template markup are left out.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser, LexborNode

_DROPPED = frozenset({"script", "style", "noscript", "template", "svg", "head", "canvas"})
_BLOCKS = frozenset(
    "address article aside blockquote body dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5"
    " h6 header hr li main nav ol p pre section summary table tbody thead tfoot tr ul".split()
)
DEPTH_MAX = 512
"""Browsers show nothing that lies deeper (Blink's and WebKit's limit on the depth of a document)."""
# Comments, and what scripts and styles hold, are no tags. Every character is looked at once, whatever the page.
_TAG = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))|<(?:script|style)\b.*?(?:</(?:script|style)\s*>|\Z)|<(/?)([a-z][^\s/<>]*)([^<>]*)",
    re.DOTALL | re.IGNORECASE,
)
# Without an end tag, or closed by what follows: void elements, and those of which the end tag may be left out (HTML, 13.1.2).
_NEVER_OPEN = frozenset(
    "area base br col embed hr img input link meta source track wbr html head body p li dt dd option optgroup tr td th thead"
    " tbody tfoot colgroup rt rp".split()
)
_ENDS_A_DRAWING = frozenset(
    "b big blockquote center code div em font h1 h2 h3 i nobr ol s small span strong table tt u ul".split()
)
_SPACES = re.compile(r"[^\S\n]+")
_LINKED_SCHEMES = ("http://", "https://", "mailto:", "tel:")
_Step: TypeAlias = LexborNode | Callable[[], None]


@dataclass(frozen=True)
class PageLink:
    """A link as shown: its words and its absolute address."""

    text: str
    url: str


@dataclass(frozen=True)
class RenderedPage:
    """A page as a reader sees it.

    Attributes:
        title: content of the title element, or empty.
        text: one line per block; links as ``[words](absolute address)``, headings as ``# words``, list items as
            ``- words``, table cells separated by `` | ``, frames as ``[iframe](address)``.
        links: every http(s) link in page order, each address once.
    """

    title: str
    text: str
    links: tuple[PageLink, ...]


def nested_too_deeply(html: str) -> bool:
    """Whether a page opens more elements than it closes, at any point, as no page made for readers does.

    Told before it is parsed: the parser's work grows with the square of the depth, up to minutes and gigabytes for a page of a few
    hundred kilobytes, and everything else of the worker stands still meanwhile.
    """
    opened: Counter[str] = Counter()
    for match in _TAG.finditer(html):
        tag = (match[2] or "").lower()
        if not tag or tag in _NEVER_OPEN:
            continue
        if match[1]:
            opened[tag] = max(0, opened[tag] - 1)
        elif not (match[3].endswith("/") and opened["svg"]):  # elsewhere "<b/>" opens an element like any other
            opened[tag] += 1
            if tag in _ENDS_A_DRAWING:
                opened["svg"] = 0
            if opened.total() > DEPTH_MAX:
                return True
    return False


def render_page(html: str, base_url: str) -> RenderedPage:
    """Render HTML to quotable text.

    Args:
        html: the decoded page; need not be well formed.
        base_url: address the page was finally read from; relative links are resolved against it.
    """
    tree = LexborHTMLParser(html)
    title_node = tree.css_first("title")
    base_node = tree.css_first("base[href]")
    base = urljoin(base_url, base_node.attributes.get("href") or "") if base_node else base_url
    renderer = _Renderer(base)
    if tree.body is not None:
        renderer.walk(tree.body)
    return RenderedPage(
        title=_one_line(title_node.text() if title_node else ""),
        text=renderer.text(),
        links=tuple(PageLink(text, url) for url, text in renderer.links.items()),
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


class _Renderer:
    """Depth-first walk that collects text pieces; block elements end a line.

    The walk keeps its own stack: a page may be nested deeper than Python calls may be.
    """

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._pieces: list[str] = []
        self.links: dict[str, str] = {}

    def text(self) -> str:
        lines = (_SPACES.sub(" ", line).strip() for line in "".join(self._pieces).split("\n"))
        return "\n".join(line for line in lines if line and line != "-")

    def walk(self, root: LexborNode) -> None:
        todo: list[_Step] = _children(root)
        while todo:
            step = todo.pop()
            if isinstance(step, LexborNode):
                todo += self._visit(step)
            else:
                step()

    def _visit(self, node: LexborNode) -> list[_Step]:
        """Render the beginning of a node; what is left to do for it comes back, the last first."""
        tag = node.tag or ""
        if tag == "-text":
            self._pieces.append((node.text_content or "").replace("\n", " ").replace("\r", " "))
        elif tag == "a":
            start = len(self._pieces)
            return [lambda: self._end_link(node, start), *_children(node)]
        elif tag == "iframe":
            self._frame(node)
        elif tag == "img":
            self._pieces.append(f" {node.attributes.get('alt') or ''} ")
        elif tag == "br":
            self._pieces.append("\n")
        elif tag in {"td", "th"}:
            return [lambda: self._pieces.append(" | "), *_children(node)]
        elif tag in _BLOCKS:
            self._begin_block(tag)
            return [lambda: self._pieces.append("\n"), *_children(node)]
        elif tag not in _DROPPED and not tag.startswith("-") and not tag.startswith("_"):
            return _children(node)
        return []

    def _begin_block(self, tag: str) -> None:
        self._pieces.append("\n")
        if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self._pieces.append("# ")
        elif tag == "li":
            self._pieces.append("- ")

    def _end_link(self, node: LexborNode, start: int) -> None:
        words = _one_line("".join(self._pieces[start:]))
        del self._pieces[start:]
        url = self._absolute(node.attributes.get("href"))
        if url is None:
            self._pieces.append(f" {words} ")
            return
        self._pieces.append(f"[{words}]({url})")
        if url.startswith("http"):
            self.links.setdefault(url, words)

    def _frame(self, node: LexborNode) -> None:
        url = self._absolute(node.attributes.get("src"))
        if url is not None:
            self._pieces.append(f"\n[iframe]({url})\n")

    def _absolute(self, reference: str | None) -> str | None:
        if not reference or reference.startswith("#"):
            return None
        try:
            url = urljoin(self._base_url, reference.strip())
        except ValueError:  # urljoin refuses addresses such as "http://[": shown as plain words instead
            return None
        return url if url.startswith(_LINKED_SCHEMES) else None


def _children(node: LexborNode) -> list[_Step]:
    """A node's children, the last first."""
    found: list[_Step] = []
    child = node.last_child
    while child is not None:
        found.append(child)
        child = child.prev
    return found
