"""Portal links and listing widgets that customers of each software vendor have on their sites.

The patterns are those of the vendors' public portals.
"""

from __future__ import annotations

from collections.abc import Callable

from local.demo.entities import Portal, PortalLink

HOA_SYSTEMS = ("CINC", "TownSq", "FRONTSTEPS", "Vantaca")
SHORT_TERM_SYSTEMS = ("Guesty", "OwnerRez", "Track", "Lodgify")
ADD_ONS: dict[str, str] = {
    "Property Meld": '<a href="https://app.propertymeld.com/tenant/{slug}/">Request maintenance</a>',
    "Tenant Turner": '<a href="https://app.tenantturner.com/listings/{slug}">Schedule a showing</a>',
    "ShowMojo": '<a href="https://showmojo.com/{slug}/listings/mapsearch">Tour a home</a>',
    "Rently": '<a href="https://homes.rently.com/companies/{slug}">Self tour</a>',
}


def open_portal(vendor: str, slug: str) -> Portal:
    """Return the portal of account `slug` at `vendor`, with links and widget.

    Raises:
        KeyError: the vendor is unknown.
    """
    host, has_slug, links, widget = _VENDORS[vendor](slug)
    return Portal(
        vendor=vendor,
        host=host,
        slug=slug if has_slug else None,
        links=tuple(PortalLink(label=label, url=url) for label, url in links),
        widget_html=widget,
    )


_Parts = tuple[str, bool, list[tuple[str, str]], str]


def _frame(url: str) -> str:
    return f'<iframe src="{url}" width="100%" height="1200" frameborder="0" title="Listings"></iframe>'


def _buildium(s: str) -> _Parts:
    base = f"https://{s}.managebuilding.com"
    links = [
        ("Resident Login", f"{base}/Resident/portal/login"),
        ("Owner Login", f"{base}/Manager/"),
        ("Apply Now", f"{base}/Resident/rental-application/new"),
    ]
    return f"{s}.managebuilding.com", True, links, _frame(f"{base}/Resident/public/rentals")


def _appfolio(s: str) -> _Parts:
    base = f"https://{s}.appfolio.com"
    script = (
        f'<script src="{base}/javascripts/listing.js"></script>\n'
        f"<script>Appfolio.Listing({{hostUrl: '{s}.appfolio.com', themeColor: '#676767', height: '900px'}});</script>"
    )
    links = [
        ("Tenant Portal", f"{base}/connect/users/sign_in"),
        ("Owner Portal", f"{base}/oportal/users/log_in"),
        ("View Listings", f"{base}/listings"),
    ]
    return f"{s}.appfolio.com", True, links, script


def _rentvine(s: str) -> _Parts:
    base = f"https://{s}.rentvine.com"
    widget = f'<script src="https://app.rentvine.com/public/widget/listings.js" data-account="{s}"></script>'
    links = [
        ("Resident Portal", f"{base}/portals/resident"),
        ("Owner Portal", f"{base}/portals/owner"),
        ("Apply", f"{base}/public/apply"),
    ]
    return f"{s}.rentvine.com", True, links, widget


def _propertyware(s: str) -> _Parts:
    base = f"https://app.propertyware.com/pw/portals/{s}"
    links = [
        ("Tenant Login", f"{base}/tenant.action"),
        ("Owner Login", f"{base}/owner.action"),
        ("Apply Online", f"https://app.propertyware.com/pw/application/#/tenant/{s}"),
    ]
    return (
        "app.propertyware.com",
        True,
        links,
        '<script src="https://webreq.propertyware.com/pw/js/rentals.js"></script>',
    )


def _rent_manager(s: str) -> _Parts:
    links = [
        ("Tenant Web Access", f"https://{s}.twa.rentmanager.com/"),
        ("Owner Web Access", f"https://{s}.owa.rentmanager.com/"),
    ]
    return f"{s}.twa.rentmanager.com", True, links, _frame(f"https://{s}.ua.rentmanager.com/ApplyNow")


def _yardi(s: str) -> _Parts:
    base = f"https://{s}.securecafe.com"
    links = [
        ("Resident Services", f"{base}/residentservices/{s}/userlogin.aspx"),
        ("Apply Online", f"{base}/onlineleasing/{s}/guestlogin.aspx"),
    ]
    return f"{s}.securecafe.com", True, links, _frame(f"{base}/onlineleasing/{s}/availableunits.aspx")


def _entrata(s: str) -> _Parts:
    links = [
        ("Resident Portal", f"https://{s}.residentportal.com/auth"),
        ("Apply", f"https://{s}.prospectportal.com/Apartments/module/application_authentication/"),
    ]
    return f"{s}.residentportal.com", True, links, _frame(f"https://{s}.prospectportal.com/")


def _realpage(s: str) -> _Parts:
    links = [
        ("Resident Login", f"https://{s}.loftliving.com/login"),
        ("Pay Rent", f"https://{s}.activebuilding.com/portal"),
    ]
    return f"{s}.loftliving.com", True, links, _frame(f"https://{s}.activebuilding.com/")


def _resman(s: str) -> _Parts:
    base = f"https://{s}.myresman.com/Portal"
    links = [("Resident Portal", f"{base}/Access/SignIn/{s}"), ("Apply", f"{base}/Applicants/Availability")]
    return f"{s}.myresman.com", True, links, _frame(f"{base}/Applicants/Availability")


def _doorloop(s: str) -> _Parts:
    base = f"https://{s}.app.doorloop.com/tenant-portal"
    links = [("Tenant Login", f"{base}/login"), ("Apply", f"{base}/rental-applications")]
    return f"{s}.app.doorloop.com", True, links, _frame(f"{base}/rental-applications/listings?source=companyLink")


def _rentec(s: str) -> _Parts:
    links = [
        ("Tenant Login", "https://secure.rentecdirect.com/tenants/login.php"),
        ("Owner Login", "https://secure.rentecdirect.com/owners/login.php"),
    ]
    # The vendor's links contain no account, so a reader cannot find a slug.
    return "secure.rentecdirect.com", False, links, _frame("https://secure.rentecdirect.com/tenants/vacancies.php")


def _one_host(label: str, host: str, path: str, *, slug: bool = True) -> Callable[[str], _Parts]:
    def build(s: str) -> _Parts:
        full = host.format(s=s)
        return full, slug, [(label, f"https://{full}{path.format(s=s)}")], ""

    return build


_VENDORS: dict[str, Callable[[str], _Parts]] = {
    "Buildium": _buildium,
    "AppFolio": _appfolio,
    "Rentvine": _rentvine,
    "Propertyware": _propertyware,
    "Rent Manager": _rent_manager,
    "Yardi": _yardi,
    "Entrata": _entrata,
    "RealPage": _realpage,
    "ResMan": _resman,
    "DoorLoop": _doorloop,
    "Rentec Direct": _rentec,
    "CINC": _one_host("Homeowner Login", "{s}.cincwebaxis.com", "/"),
    "TownSq": _one_host("Community Portal", "app.townsq.io", "/login", slug=False),
    "FRONTSTEPS": _one_host("Homeowner Portal", "{s}.frontsteps.com", "/"),
    "Vantaca": _one_host("Owner Portal", "{s}.vantaca.com", "/"),
    "Guesty": _one_host("Owner Portal", "{s}.guestyowners.com", "/login"),
    "OwnerRez": _one_host("Book Now", "booking.ownerrez.com", "/{s}", slug=False),
    "Track": _one_host("Owner Login", "{s}.trackhs.com", "/owner/"),
    "Lodgify": _one_host("Check Availability", "{s}.lodgify.com", "/en/all-properties"),
}
