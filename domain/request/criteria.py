"""Criteria of a run: one typed model, parsed once and used everywhere.

Unknown keys and values are errors. Nothing is guessed.
"""

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict
from rapidfuzz import fuzz, process

from domain.company.excluded_sites import ExcludedSiteKind, excluded_site_kind
from domain.company.facts import CompanyType, IcpTier
from domain.company.hosts import normalized_host, registrable_domain
from domain.company.places import state_code, state_names, zip_place
from domain.company.pms_vendors import PmsVendor, canonical_vendor, nearest_vendor
from domain.frozen_model import FrozenModel

T = TypeVar("T")
CriterionKey = Literal["pms", "pms_exclude", "place", "units", "company_types", "icp_tier_min"]
CRITERION_KEYS: tuple[CriterionKey, ...] = get_args(CriterionKey)


class CriteriaError(ValueError):
    """Raised for invalid criteria. The message says what was expected."""


class Mode(StrEnum):
    """A hard criterion rejects companies that fail it. A soft one only lowers their score."""

    HARD = "hard"
    SOFT = "soft"


_SOFT_BY_DEFAULT = frozenset({"company_types", "icp_tier_min"})


class Criteria(BaseModel):
    """The criteria of a run. An empty field means "not asked".

    Attributes:
        modes: modes set by the request. ``mode_of`` adds the defaults.
        unknown_accepted: criteria that may be unknown, because a person decided so.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pms: tuple[PmsVendor, ...] = ()
    pms_exclude: tuple[PmsVendor, ...] = ()
    states: tuple[str, ...] = ()
    cities: tuple[str, ...] = ()
    zip: str | None = None
    radius_miles: float | None = None
    units_min: int | None = None
    units_max: int | None = None
    company_types: tuple[CompanyType, ...] = ()
    icp_tier_min: IcpTier | None = None
    keywords: tuple[str, ...] = ()
    exclude_keywords: tuple[str, ...] = ()
    suppress_domains: tuple[str, ...] = ()
    notes: str | None = None
    modes: dict[CriterionKey, Mode] = {}
    unknown_accepted: tuple[CriterionKey, ...] = ()

    def mode_of(self, key: CriterionKey) -> Mode:
        return self.modes.get(key, Mode.SOFT if key in _SOFT_BY_DEFAULT else Mode.HARD)

    def asked(self) -> tuple[CriterionKey, ...]:
        """Return the criteria that this request uses, in funnel order."""
        present: dict[CriterionKey, bool] = {
            "place": bool(self.states or self.cities or self.zip),
            "pms": bool(self.pms),
            "pms_exclude": bool(self.pms_exclude),
            "units": self.units_min is not None or self.units_max is not None,
            "company_types": bool(self.company_types),
            "icp_tier_min": self.icp_tier_min is not None,
        }
        return tuple(key for key, is_asked in present.items() if is_asked)

    def described(self) -> dict[str, Any]:
        """Return the criteria that are set, as JSON."""
        return self.model_dump(mode="json", exclude_defaults=True)


class ParsedCriteria(FrozenModel):
    criteria: Criteria
    quantity: int | None = None


def parse_criteria(raw: object) -> ParsedCriteria:
    """Raises ``CriteriaError`` for an unknown key or mode, or an invalid value."""
    if not isinstance(raw, Mapping):
        raise CriteriaError(f'criteria must be a JSON object such as {{"state": "TX"}}, not {_kind(raw)}')
    values: dict[str, Any] = {}
    modes: dict[CriterionKey, Mode] = {}
    key_of_field: dict[str, str] = {}
    quantity: int | None = None
    for key, given in ((str(name), given) for name, given in raw.items()):
        field = _ALIASES.get(key, key)
        if key == "quantity":
            quantity = _whole_number(key, given)
            continue
        if field not in _PARSERS:
            raise CriteriaError(_unknown_key(key))
        if field in key_of_field:
            raise CriteriaError(f"{key_of_field[field]!r} and {key!r} mean the same thing: give one of them")
        key_of_field[field] = key
        value, mode = _split_mode(key, given)
        if mode is not None:
            _set_mode(modes, key, field, mode)
        if value is not None:
            values[field] = _PARSERS[field](key, value)
    criteria = Criteria(**values, modes=modes)
    _check_together(criteria)
    return ParsedCriteria(criteria=criteria, quantity=quantity)


def did_you_mean(given: object, known: Collection[str], otherwise: str, score_cutoff: float = 60) -> str:
    """Return a hint with the most similar known word, or ``otherwise``."""
    match = process.extractOne(str(given), known, score_cutoff=score_cutoff) if given else None
    return f"did you mean {match[0]!r}?" if match else otherwise


def _unknown_key(key: str) -> str:
    # Compares whole words in any order. The default scorer finds 'stat' as similar to 'states' as to 'state'.
    match = process.extractOne(
        key.lower(), KNOWN_KEYS, scorer=fuzz.token_sort_ratio, processor=lambda k: k.replace("_", " "), score_cutoff=65
    )
    hint = f"did you mean {match[0]!r}?" if match else f"known keys: {', '.join(KNOWN_KEYS)}"
    return f"unknown criterion {key!r}: {hint}"


def _split_mode(key: str, given: object) -> tuple[object, Mode | None]:
    if not isinstance(given, Mapping):
        return given, None
    if set(given) != {"value", "mode"}:
        raise CriteriaError(f'{key!r}: an object must have just "value" and "mode", not {sorted(map(str, given))}')
    try:
        return given["value"], Mode(given["mode"])
    except ValueError as error:
        raise CriteriaError(f'{key!r}: mode must be "hard" or "soft", not {given["mode"]!r}') from error


def _set_mode(modes: dict[CriterionKey, Mode], key: str, field: str, mode: Mode) -> None:
    criterion = _CRITERION_OF_FIELD.get(field)
    if criterion is None:
        raise CriteriaError(f"{key!r} takes no mode: it is passed on as it is")
    if modes.setdefault(criterion, mode) is not mode:
        raise CriteriaError(
            f"{key!r} is {mode.value} but another key of the same criterion ({criterion}) is not: use one mode"
        )


def _check_together(criteria: Criteria) -> None:
    if criteria.units_min is not None and criteria.units_max is not None and criteria.units_min > criteria.units_max:
        raise CriteriaError(f"units_min ({criteria.units_min}) is greater than units_max ({criteria.units_max})")
    if criteria.radius_miles is not None and criteria.zip is None:
        raise CriteriaError("radius_miles needs a zip to be around")
    both = set(criteria.pms) & set(criteria.pms_exclude)
    if both:
        raise CriteriaError(f"{', '.join(sorted(both))} is both wanted (pms) and excluded (pms_exclude)")


def _kind(value: object) -> str:
    names = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "a yes/no", type(None): "nothing"}
    return names.get(type(value), type(value).__name__)


def _texts(key: str, value: object) -> tuple[str, ...]:
    items: list[Any] = list(value) if isinstance(value, list | tuple) else [value]
    if not items:
        raise CriteriaError(f"{key!r} is an empty list: leave the key out instead")
    for item in items:
        if not isinstance(item, str) or not item.strip():
            raise CriteriaError(f"{key!r} takes a text or a list of texts, not {_kind(item)} ({item!r})")
        if not item.strip().replace("\n", " ").isprintable():
            raise CriteriaError(f"{key!r} holds characters that cannot be shown: {item!r}")
    return tuple(dict.fromkeys(item.strip() for item in items))


def _each(parse: Callable[[str, str], T]) -> Callable[[str, object], tuple[T, ...]]:
    return lambda key, value: tuple(dict.fromkeys(parse(key, text) for text in _texts(key, value)))


def _vendor(key: str, text: str) -> PmsVendor:
    vendor = canonical_vendor(text)
    if vendor is None:
        nearest = nearest_vendor(text)
        hint = f"did you mean {nearest.value!r}?" if nearest else f"known: {', '.join(PmsVendor)}"
        raise CriteriaError(f"{key!r}: no property management software named {text!r} is known; {hint}")
    return vendor


def _state(key: str, text: str) -> str:
    code = state_code(text)
    if code is None:
        otherwise = "give a two-letter code or a full name, such as TX or Texas"
        hint = did_you_mean(text, state_names().values(), otherwise, score_cutoff=70)
        raise CriteriaError(f"{key!r}: {text!r} is not a US state; {hint}")
    return code


def _company_type(key: str, text: str) -> CompanyType:
    known = [item.value for item in CompanyType if item is not CompanyType.UNKNOWN]
    if text not in known:
        hint = did_you_mean(text, known, f"known: {', '.join(known)}")
        raise CriteriaError(f"{key!r}: {text!r} is not a company type; {hint}")
    return CompanyType(text)


def _domain(key: str, text: str) -> str:
    domain, host = registrable_domain(text), normalized_host(text)
    if domain is None or host is None:
        raise CriteriaError(f"{key!r}: {text!r} is not a domain name such as acme.com")
    # A portal host belongs to one customer of the vendor. The vendor's domain would match all customers.
    return host if excluded_site_kind(domain) is ExcludedSiteKind.VENDOR else domain


def _whole_number(key: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise CriteriaError(f"{key!r} takes a whole number, not {_kind(value)} ({value!r})")
    return value


def _units(key: str, value: object) -> int:
    number = _whole_number(key, value)
    if not 0 <= number <= 10_000_000:
        raise CriteriaError(f"{key!r} must be between 0 and 10,000,000 units, not {number:,}")
    return number


def _zip(key: str, value: object) -> str:
    if not isinstance(value, str) or zip_place(value.strip()) is None:
        raise CriteriaError(f"{key!r} takes a five-digit US ZIP code as a text, not {value!r}")
    return value.strip()


def _miles(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 500:
        raise CriteriaError(f"{key!r} takes a number of miles above 0 and up to 500, not {value!r}")
    return float(value)


def _tier(key: str, value: object) -> IcpTier:
    known = [tier.value for tier in IcpTier if tier is not IcpTier.D]
    if not isinstance(value, str) or value not in known:
        raise CriteriaError(f"{key!r} takes one of {', '.join(known)}, not {value!r}")
    return IcpTier(value)


_PARSERS: dict[str, Callable[[str, object], Any]] = {
    "pms": _each(_vendor),
    "pms_exclude": _each(_vendor),
    "states": _each(_state),
    "cities": _texts,
    "zip": _zip,
    "radius_miles": _miles,
    "units_min": _units,
    "units_max": _units,
    "company_types": _each(_company_type),
    "icp_tier_min": _tier,
    "keywords": _texts,
    "exclude_keywords": _texts,
    "suppress_domains": _each(_domain),
    "notes": lambda key, value: "; ".join(_texts(key, value)),
}
_ALIASES = {"state": "states", "city": "cities", "company_type": "company_types"}
KNOWN_KEYS: tuple[str, ...] = (*_PARSERS, "state", "city", "quantity")
_CRITERION_OF_FIELD: dict[str, CriterionKey] = {
    **{key: key for key in CRITERION_KEYS if key in _PARSERS},
    **dict.fromkeys(("states", "cities", "zip", "radius_miles"), "place"),
    **dict.fromkeys(("units_min", "units_max"), "units"),
}
