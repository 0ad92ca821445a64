"""Property management software: canonical vendor names, their aliases, and products that are not a PMS.

Source: docs/domain.md, "Property management software".
"""

import re
from difflib import get_close_matches
from enum import StrEnum
from typing import Literal, TypeAlias

from domain.frozen_model import FrozenModel


class PmsVendor(StrEnum):
    """The canonical names: the only spelling that is stored, compared or exported."""

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
    """Software for homeowner associations. Never the PMS; speaks against the ideal customer."""

    CINC = "CINC"
    TOWNSQ = "TownSq"
    FRONTSTEPS = "FRONTSTEPS"
    EVERCONDO = "Evercondo"
    VANTACA = "Vantaca"


class ShortTermRentalSystem(StrEnum):
    """Software for vacation rentals. Never the PMS; speaks against the ideal customer."""

    GUESTY = "Guesty"
    OWNERREZ = "OwnerRez"
    TRACK = "Track"
    LODGIFY = "Lodgify"


class AddOn(StrEnum):
    """Tools used next to any PMS."""

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

# Portal hosts and product names that people use for the vendor.
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
    """A company's account at a vendor, read from a portal address."""

    vendor: PmsVendor
    slug: str


def category_of(product: Product) -> ProductCategory:
    """The kind of product that a name stands for."""
    return _CATEGORIES[type(product)]


def canonical_vendor(text: str) -> PmsVendor | None:
    """The vendor with exactly this name, alias or domain, or None.

    Case, spaces and punctuation do not matter. Other words do: ``not Buildium`` is not a vendor.
    """
    return _BY_KEY.get(_key(text))


def nearest_vendor(text: str) -> PmsVendor | None:
    """The vendor whose name looks most like the text. Only for hints in error messages."""
    near = get_close_matches(_key(text), list(_BY_KEY), n=1, cutoff=0.6)
    return _BY_KEY[near[0]] if near else None


def _key(text: str) -> str:
    bare = re.sub(r"^\s*(?:https?://)?(?:www\.)?|\.com/?\s*$", "", text.casefold())
    return re.sub(r"[\W_]+", "", bare)


_BY_KEY: dict[str, PmsVendor] = {
    _key(name): vendor for vendor, aliases in _ALIASES.items() for name in (vendor.value, *aliases)
}
