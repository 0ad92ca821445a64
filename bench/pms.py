"""How many pages a second PMS detection reads on one core: ``python -m bench.pms [--sites 1000] [--seed 1]``.

Generated pages of the size and make-up of a small company's site (links, scripts, page data, text); the target is more
than 1,000 pages a second. Every verdict is checked against what the site was made to show: a fast wrong answer fails.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from domain.company.pms_detection import SitePage
from domain.company.pms_vendors import PmsVendor
from pms.detect import detect_pms

_PORTALS: dict[PmsVendor, str] = {
    PmsVendor.BUILDIUM: "https://{slug}.managebuilding.com/Resident/portal/login",
    PmsVendor.APPFOLIO: "https://{slug}.appfolio.com/connect/users/sign_in",
    PmsVendor.RENTVINE: "https://{slug}.rentvine.com/portals/resident",
    PmsVendor.PROPERTYWARE: "https://app.propertyware.com/pw/portals/{slug}/tenant.action",
    PmsVendor.RENT_MANAGER: "https://{slug}.twa.rentmanager.com/",
    PmsVendor.YARDI: "https://{slug}.securecafe.com/residentservices/{slug}/userlogin.aspx",
    PmsVendor.DOORLOOP: "https://{slug}.app.doorloop.com/tenant-portal/auth/login",
}
_PATHS = ("/", "/residents/", "/owners/", "/about/")
_WORDS = ("rental", "home", "owner", "tenant", "lease", "repair", "month", "yard", "city", "service", "buildium")


def main() -> int:
    """Time ``detect_pms`` over generated sites; 1 when a verdict is wrong or the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=1000, help="sites of four pages each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pages-per-second", type=int, default=1000, help="the target; a slower run fails")
    options = parser.parse_args()
    chance = random.Random(options.seed)  # noqa: S311 - test data, not a secret
    sites = [_site(chance, number) for number in range(options.sites)]
    pages = sum(len(site) for _, site in sites)
    characters = sum(len(page.html) for _, site in sites for page in site)
    detect_pms(sites[0][1])  # reads the rules
    started = time.process_time()
    found = [detect_pms(site).vendor for _, site in sites]
    spent_s = time.process_time() - started
    wrong = sum(vendor is not expected for vendor, (expected, _) in zip(found, sites, strict=True))
    rate = pages / spent_s
    print(f"{pages} pages of {characters / pages / 1000:.0f} kB in {spent_s:.2f} s: {rate:,.0f} pages/s; {wrong} wrong")
    return int(wrong > 0 or rate < options.pages_per_second)


def _site(chance: random.Random, number: int) -> tuple[PmsVendor | None, tuple[SitePage, ...]]:
    vendor = chance.choice([*_PORTALS, None])
    portal = _PORTALS[vendor].format(slug=f"acme{number}") if vendor else "/contact/"
    home = f"https://www.acme{number}.example"
    return vendor, tuple(
        SitePage(url=home + path, final_url=home + path, html=_page(chance, path, portal)) for path in _PATHS
    )


def _page(chance: random.Random, path: str, portal: str) -> str:
    text = "".join(
        f"<div class='block'><h2>{' '.join(chance.choices(_WORDS, k=4))}</h2><p>{_text(chance)}</p></div>"
        for _ in range(20)
    )
    links = "".join(
        f"<li><a class='menu-item' href='/{word}-{index}/'>{word}</a></li>" for index, word in enumerate(_WORDS)
    )
    shares = "".join(f"<a href='https://www.example.com/share?u={index}'>share</a>" for index in range(40))
    assets = "".join(f"<script src='https://cdn.example.net/wp-content/{index}.js'></script>" for index in range(15))
    data = "".join(
        f'"item{index}":{{"url":"https:\\/\\/cdn.example.net\\/{index}","on":true}},' for index in range(100)
    )
    return (
        f"<!doctype html><html><head><title>Acme {path}</title>{assets}"
        f'<script>window.page={{{data}"n":1}}</script></head>'
        f"<body><nav><ul>{links}</ul><a href='{portal}'>Resident portal</a></nav>{text}{shares}</body></html>"
    )


def _text(chance: random.Random) -> str:
    return " ".join(chance.choices(_WORDS, k=80))


if __name__ == "__main__":
    sys.exit(main())
