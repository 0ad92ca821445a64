"""Property management software: vendor names, aliases, and products that are not a PMS.

Source: docs/domain.md, "Property management software".
"""

import re
from difflib import get_close_matches
from enum import StrEnum
from typing import Literal, TypeAlias

from domain.frozen_model import FrozenModel


class PmsVendor(StrEnum):
    """Canonical names. Only this spelling is stored, compared or exported."""

    BUILDIUM = "Buildium"
    APPFOLIO = "AppFolio"
    RENTVINE = "Rentvine"
    PROPERTYWARE = "Propertyware"
    RENT_MANAGER = "Rent Manager"
    YARDI = "Yardi"
    ENTRATA = "Entrata"
    REALPAGE = "RealPage"
    RESMAN = "ResMan"
    DOORLOOP = "DoorLoop"
    RENTEC_DIRECT = "Rentec Direct"
    TENANTCLOUD = "TenantCloud"
    INNAGO = "Innago"
    HEMLANE = "Hemlane"


class HoaSystem(StrEnum):
    """Software for managers of homeowner associations, who are not ideal customers."""

    CINC = "CINC"
    TOWNSQ = "TownSq"
    FRONTSTEPS = "FRONTSTEPS"
    EVERCONDO = "Evercondo"
    VANTACA = "Vantaca"


class ShortTermRentalSystem(StrEnum):
    """Software for managers of vacation rentals, who are not ideal customers."""

    GUESTY = "Guesty"
    OWNERREZ = "OwnerRez"
    TRACK = "Track"
    LODGIFY = "Lodgify"


class AddOn(StrEnum):
    """Tools that companies use with any PMS."""

    PROPERTY_MELD = "Property Meld"
    LATCHEL = "Latchel"
    SHOWMOJO = "ShowMojo"
    TENANT_TURNER = "Tenant Turner"
    RENTLY = "Rently"
    RENTENGINE = "RentEngine"


Product: TypeAlias = PmsVendor | HoaSystem | ShortTermRentalSystem | AddOn
ProductCategory: TypeAlias = Literal["pms", "hoa", "short_term_rental", "add_on"]

_CATEGORIES: dict[type[Product], ProductCategory] = {
    PmsVendor: "pms",
    HoaSystem: "hoa",
    ShortTermRentalSystem: "short_term_rental",
    AddOn: "add_on",
}

# Portal hosts and product names that people use as the vendor's name.
_ALIASES: dict[PmsVendor, tuple[str, ...]] = {
    PmsVendor.BUILDIUM: ("managebuilding", "manage building"),
    PmsVendor.APPFOLIO: ("appfolio property manager", "appfolio plus", "appf", "appf.io"),
    PmsVendor.RENTVINE: ("rent vine",),
    PmsVendor.PROPERTYWARE: ("property ware",),
    PmsVendor.RENT_MANAGER: ("rent manager online", "rmresident", "twa.rentmanager", "lcs rent manager"),
    PmsVendor.YARDI: ("yardi voyager", "yardi breeze", "yardi breeze premier", "rentcafe", "securecafe"),
    PmsVendor.ENTRATA: ("residentportal", "prospectportal"),
    PmsVendor.REALPAGE: ("onesite", "realpage onesite", "loft living", "activebuilding"),
    PmsVendor.RESMAN: ("res man", "myresman"),
    PmsVendor.DOORLOOP: ("door loop",),
    PmsVendor.RENTEC_DIRECT: ("rentec", "rentecdirect"),
    PmsVendor.TENANTCLOUD: ("tenant cloud",),
    PmsVendor.INNAGO: (),
    PmsVendor.HEMLANE: (),
}


class PortalAccount(FrozenModel):
    vendor: PmsVendor
    slug: str


def category_of(product: Product) -> ProductCategory:
    return _CATEGORIES[type(product)]


def canonical_vendor(text: str) -> PmsVendor | None:
    """Return the vendor with exactly this name, alias or domain, or None.

    Case, spaces and punctuation are ignored. Extra words are not: ``not Buildium`` matches no vendor.
    """
    return _BY_KEY.get(_key(text))


def nearest_vendor(text: str) -> PmsVendor | None:
    """Return the vendor with the most similar name. Used only for hints in error messages."""
    near = get_close_matches(_key(text), list(_BY_KEY), n=1, cutoff=0.6)
    return _BY_KEY[near[0]] if near else None


def _key(text: str) -> str:
    bare = re.sub(r"^\s*(?:https?://)?(?:www\.)?|\.com/?\s*$", "", text.casefold())
    return re.sub(r"[\W_]+", "", bare)


_BY_KEY: dict[str, PmsVendor] = {
    _key(name): vendor for vendor, aliases in _ALIASES.items() for name in (vendor.value, *aliases)
}
