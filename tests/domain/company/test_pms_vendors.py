"""Vendor names, aliases and product categories."""

import pytest

from domain.company.pms_vendors import (
    AddOn,
    HoaSystem,
    PmsVendor,
    ShortTermRentalSystem,
    canonical_vendor,
    category_of,
    nearest_vendor,
)


def test_product_names_are_unique_and_have_a_category() -> None:
    groups = (PmsVendor, HoaSystem, ShortTermRentalSystem, AddOn)
    names = [product.value for group in groups for product in group]
    assert len(names) == len(set(names))
    assert [{category_of(product) for product in group} for group in groups] == [
        {"pms"}, {"hoa"}, {"short_term_rental"}, {"add_on"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "vendor"),
    [
        ("  BUILDIUM ", PmsVendor.BUILDIUM),
        ("managebuilding", PmsVendor.BUILDIUM),
        ("managebuilding.com", PmsVendor.BUILDIUM),
        ("https://www.buildium.com/", PmsVendor.BUILDIUM),
        ("rent manager", PmsVendor.RENT_MANAGER),
        ("Rent-Manager", PmsVendor.RENT_MANAGER),
        ("App Folio", PmsVendor.APPFOLIO),
        ("RentCafe", PmsVendor.YARDI),
        ("Yardi Voyager", PmsVendor.YARDI),
        ("OneSite", PmsVendor.REALPAGE),
        ("Rentec", PmsVendor.RENTEC_DIRECT),
        ("RENTCafé", None),
        ("not Buildium", None),
        ("therentmanagers", None),
        ("courtyard", None),
        ("Property Meld", None),
        ("", None),
    ],
)
def test_vendor_matches_only_its_exact_names(text: str, vendor: PmsVendor | None) -> None:
    assert canonical_vendor(text) is vendor


@pytest.mark.parametrize("vendor", PmsVendor)
def test_vendor_matches_its_name_and_domain(vendor: PmsVendor) -> None:
    assert canonical_vendor(vendor) is vendor
    assert canonical_vendor(f"{vendor.replace(' ', '').lower()}.com") is vendor


@pytest.mark.parametrize(
    ("text", "vendor"),
    [
        ("buildum", PmsVendor.BUILDIUM),
        ("Apfolio", PmsVendor.APPFOLIO),
        ("rentvne", PmsVendor.RENTVINE),
        ("zzzzqq", None),
        ("", None),
    ],
)
def test_misspelt_vendor_has_a_nearest_name(text: str, vendor: PmsVendor | None) -> None:
    assert canonical_vendor(text) is None
    assert nearest_vendor(text) is vendor
