"""Renders a page as quotable text: everything visible, with links in place.

Article extractors lose phones, addresses, team names and portal links, so they are not used.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser, LexborNode

DEPTH_MAX = 512
"""The document depth at which Blink and WebKit stop."""

_DROPPED = frozenset({"script", "style", "noscript", "template", "svg", "head", "canvas"})
_BLOCKS = frozenset(
    "address article aside blockquote body dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5"
    " h6 header hr li main nav ol p pre section summary table tbody thead tfoot tr ul".split()
)
# Matches comments, scripts and styles as a whole, so that no tag inside them counts. Reads every character once.
_TAG = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))|<(?:script|style)\b.*?(?:</(?:script|style)\s*>|\Z)|<(/?)([a-z][^\s/<>]*)([^<>]*)",
    re.DOTALL | re.IGNORECASE,
)
# Void elements, and elements whose end tag is optional (HTML, 13.1.2).
_NEVER_OPEN = frozenset(
    "area base br col embed hr img input link meta source track wbr html head body p li dt dd option optgroup tr td th thead"
    " tbody tfoot colgroup rt rp".split()
)
_ENDS_SVG = frozenset(
    "b big blockquote center code div em font h1 h2 h3 i nobr ol s small span strong table tt u ul".split()
)
_HEADING = re.compile(r"h\d$")
_SPACES = re.compile(r"[^\S\n]+")
_LINKED_SCHEMES = ("http://", "https://", "mailto:", "tel:")
_Step: TypeAlias = LexborNode | Callable[[], None]


@dataclass(frozen=True)
class RenderedPage:
    """A page as a visitor sees it.

    Attributes:
        text: one line per block. Links are ``[words](absolute address)``, headings ``# words``, list items ``- words``,
            frames ``[iframe](address)``. Table cells are separated by `` | ``.
    """

    title: str
    text: str


def nested_too_deeply(html: str) -> bool:
    """Whether a page nests elements deeper than a browser shows.

    Call it before parsing. Parsing time grows with the square of the depth: a few hundred kilobytes could take minutes.
    """
    opened: Counter[str] = Counter()
    for match in _TAG.finditer(html):
        tag = (match[2] or "").lower()
        if not tag or tag in _NEVER_OPEN:
            continue
        if match[1]:
            opened[tag] = max(0, opened[tag] - 1)
        elif not (match[3].endswith("/") and opened["svg"]):  # outside SVG, "<b/>" opens an element like any other
            opened[tag] += 1
            if tag in _ENDS_SVG:
                opened["svg"] = 0
            if opened.total() > DEPTH_MAX:
                return True
    return False


def render_page(html: str, base_url: str) -> RenderedPage:
    """Render HTML, well formed or not."""
    tree = LexborHTMLParser(html)
    title = tree.css_first("title")
    base = tree.css_first("base[href]")
    renderer = _Renderer(urljoin(base_url, base.attributes.get("href") or "") if base else base_url)
    if tree.body is not None:
        renderer.walk(tree.body)
    return RenderedPage(title=_one_line(title.text() if title else ""), text=renderer.text())


def _one_line(text: str) -> str:
    return " ".join(text.split())


class _Renderer:
    """Walks the tree depth first. It uses its own stack: pages nest deeper than Python can recurse."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._pieces: list[str] = []

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
        """Render the start of a node. Return the remaining steps in reverse order."""
        tag = node.tag or ""
        if tag == "-text":
            self._pieces.append((node.text_content or "").replace("\n", " ").replace("\r", " "))
        elif tag == "a":
            start = len(self._pieces)
            return [lambda: self._end_link(node, start), *_children(node)]
        elif tag == "iframe":
            url = self._absolute(node.attributes.get("src"))
            self._pieces.append(f"\n[iframe]({url})\n" if url is not None else "")
        elif tag == "img":
            self._pieces.append(f" {node.attributes.get('alt') or ''} ")
        elif tag == "br":
            self._pieces.append("\n")
        elif tag in {"td", "th"}:
            return [lambda: self._pieces.append(" | "), *_children(node)]
        elif tag in _BLOCKS:
            prefix = "- " if tag == "li" else "# " if _HEADING.match(tag) else ""
            self._pieces.append(f"\n{prefix}")
            return [lambda: self._pieces.append("\n"), *_children(node)]
        elif tag not in _DROPPED and not tag.startswith("-") and not tag.startswith("_"):
            return _children(node)
        return []

    def _end_link(self, node: LexborNode, start: int) -> None:
        words = _one_line("".join(self._pieces[start:]))
        del self._pieces[start:]
        url = self._absolute(node.attributes.get("href"))
        self._pieces.append(f" {words} " if url is None else f"[{words}]({url})")

    def _absolute(self, reference: str | None) -> str | None:
        if not reference or reference.startswith("#"):
            return None
        try:
            url = urljoin(self._base_url, reference.strip())
        except ValueError:  # such as "http://["
            return None
        return url if url.startswith(_LINKED_SCHEMES) else None


def _children(node: LexborNode) -> list[_Step]:
    found: list[_Step] = []
    child = node.last_child
    while child is not None:
        found.append(child)
        child = child.prev
    return found
