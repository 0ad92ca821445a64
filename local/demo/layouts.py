"""HTML of company sites: five page shells and four ways to show people, so that no single selector reads them all.

Text is escaped when it enters a block. `raw` takes HTML as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from random import Random

from local.demo.entities import Person

GENERATOR = "pm-pipeline demo world"


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the page body, with its text for the search index."""

    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Chrome:
    """What all pages of a site share: navigation, portal links and footer."""

    site_name: str
    nav: tuple[tuple[str, str], ...]
    portal_links: tuple[tuple[str, str], ...]
    phone: str
    address_line: str
    legal_name: str
    footer_extra: str
    shell: int


def heading(text: str) -> Block:
    return Block(f"<h2>{escape(text)}</h2>", text)


def paragraph(text: str) -> Block:
    return Block(f"<p>{escape(text)}</p>", text)


def raw(html: str, text: str = "") -> Block:
    """Add unescaped HTML, such as widgets and forms. The index sees `text`."""
    return Block(html, text)


def people(style: int, team: list[Person]) -> Block:
    """Render the team as cards, a table, a definition list or paragraphs."""
    html = (_cards, _table, _definitions, _running)[style % 4](team)
    return Block(html, " ".join(f"{p.full_name}, {p.title}. {p.bio}" for p in team))


def email_html(person: Person) -> str:
    """Render the person's address as the site shows it: a link, plain text or spelled out against harvesters."""
    if person.email is None:
        return ""
    match person.email_form:
        case "obfuscated":
            return escape(spelled_out(person.email))
        case "text":
            return escape(person.email)
        case _:
            return f'<a href="mailto:{escape(person.email)}">{escape(person.email)}</a>'


def spelled_out(email: str) -> str:
    """Return `jane [at] acme [dot] example`."""
    return email.replace("@", " [at] ").replace(".", " [dot] ")


def document(chrome: Chrome, title: str, description: str, blocks: list[Block], head_extra: str = "") -> str:
    """Render a whole HTML document in the site's shell."""
    body = "\n".join(b.html for b in blocks)
    inner = (_modern, _div_soup, _old_table, _sidebar, _builder)[chrome.shell % 5](chrome, escape(title), body)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta name="description" content="{escape(description)}">\n'
        f'<meta name="generator" content="{GENERATOR}">\n{head_extra}</head>\n<body>\n{inner}\n</body></html>\n'
    )


def bare_document(title: str, body_html: str, head_extra: str = "") -> str:
    """Render a page without a shell: errors, parked domains and directories."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta name="generator" content="{GENERATOR}">\n{head_extra}</head>\n<body>\n{body_html}\n</body></html>\n'
    )


def link_list(links: tuple[tuple[str, str], ...], between: str = " | ") -> str:
    return between.join(f'<a href="{escape(url)}">{escape(label)}</a>' for label, url in links)


def choose_shell(rng: Random) -> int:
    return rng.randrange(5)


def _reach(p: Person, between: str) -> str:
    linked = f'<a href="{escape(p.linkedin_url)}">LinkedIn</a>' if p.linkedin_url else ""
    return between.join(part for part in (email_html(p), linked) if part)


def _cards(team: list[Person]) -> str:
    cards = [
        f'<div class="team-card"><img src="/img/{i}.jpg" alt="{escape(p.full_name)}"><h3>{escape(p.full_name)}</h3>'
        f'<span class="role">{escape(p.title)}</span><p>{escape(p.bio)}</p>{_reach(p, " ")}</div>'
        for i, p in enumerate(team)
    ]
    return f'<div class="team-grid">{"".join(cards)}</div>'


def _table(team: list[Person]) -> str:
    rows = "".join(
        f"<tr><td><b>{escape(p.full_name)}</b><br><i>{escape(p.title)}</i></td><td>{_reach(p, '<br>')}</td></tr>"
        for p in team
    )
    return f'<table class="staff"><tr><th>Name</th><th>Contact</th></tr>{rows}</table>'


def _definitions(team: list[Person]) -> str:
    items = "".join(
        f"<dt>{escape(p.full_name)} &ndash; {escape(p.title)}</dt><dd>{escape(p.bio)} {_reach(p, ', ')}</dd>"
        for p in team
    )
    return f"<dl>{items}</dl>"


def _running(team: list[Person]) -> str:
    return "".join(
        f"<p><strong>{escape(p.full_name)}</strong>, {escape(p.title)}. {escape(p.bio)} {_reach(p, ' or ')}</p>"
        for p in team
    )


def _footer(c: Chrome) -> str:
    portals = f"<p>{link_list(c.portal_links)}</p>" if c.portal_links else ""
    return (
        f"<p>{escape(c.legal_name)}</p><p>{escape(c.address_line)}</p>"
        f'<p><a href="tel:+1{"".join(d for d in c.phone if d.isdigit())}">{escape(c.phone)}</a></p>'
        f"{portals}<p>{c.footer_extra}</p>"
    )


def _modern(c: Chrome, title: str, body: str) -> str:
    menu = "".join(f'<li><a href="{escape(u)}">{escape(n)}</a></li>' for n, u in c.nav)
    return (
        f'<header><a class="logo" href="/">{escape(c.site_name)}</a><nav><ul>{menu}</ul></nav></header>\n'
        f"<main><section><h1>{title}</h1>\n{body}\n</section></main>\n<footer>{_footer(c)}</footer>"
    )


def _div_soup(c: Chrome, title: str, body: str) -> str:
    return (
        f'<div id="wrap"><div id="top"><div class="brand">{escape(c.site_name)}</div>'
        f'<div class="phone">Call {escape(c.phone)}</div><div class="menu">{link_list(c.nav)}</div></div>\n'
        f'<div id="content"><div class="h">{title}</div>\n{body}\n</div><div id="bottom">{_footer(c)}</div></div>'
    )


def _old_table(c: Chrome, title: str, body: str) -> str:
    return (
        f'<table width="960" align="center"><tr><td colspan="2"><font size="6">{escape(c.site_name)}</font></td></tr>\n'
        f'<tr><td valign="top" width="180">{link_list(c.nav, "<br>")}</td><td valign="top"><h1>{title}</h1>\n'
        f"{body}</td></tr>\n"
        f'<tr><td colspan="2" align="center"><small>{_footer(c)}</small></td></tr></table>'
    )


def _sidebar(c: Chrome, title: str, body: str) -> str:
    return (
        f'<div class="page"><article><h1>{title}</h1>\n{body}\n</article>\n<aside><h4>{escape(c.site_name)}</h4>'
        f"<p>{link_list(c.nav, ' &middot; ')}</p><address>{_footer(c)}</address></aside></div>"
    )


def _builder(c: Chrome, title: str, body: str) -> str:
    menu = "".join(f'<div class="wb-item"><a href="{escape(u)}"><span>{escape(n)}</span></a></div>' for n, u in c.nav)
    return (
        f'<div class="wb-root"><div class="wb-strip"><div class="wb-col"><span>{escape(c.site_name)}</span></div>'
        f"{menu}</div>\n"
        f'<div class="wb-section"><div class="wb-inner"><h1><span>{title}</span></h1>\n{body}\n</div></div>\n'
        f'<section id="colophon"><div class="wb-inner">{_footer(c)}</div></section></div>'
    )
