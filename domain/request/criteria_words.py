"""Describe criteria in words, such as "on Buildium in Denver, CO with at least 50 units"."""

from collections.abc import Iterable

from domain.request.criteria import Criteria, CriterionKey, Mode


def request_in_words(quantity: int, criteria: Criteria) -> str:
    noun = "company" if quantity == 1 else "companies"
    return f"{quantity:,} {noun} {criteria_in_words(criteria)}".rstrip()


def criteria_in_words(criteria: Criteria) -> str:
    parts: list[tuple[CriterionKey, str]] = [
        ("pms", f"on {_either(criteria.pms)}" if criteria.pms else ""),
        ("pms_exclude", f"not on {_either(criteria.pms_exclude)}" if criteria.pms_exclude else ""),
        ("place", _place(criteria)),
        ("units", _units(criteria)),
        ("company_types", f"of type {_either(criteria.company_types)}" if criteria.company_types else ""),
        ("icp_tier_min", f"of tier {criteria.icp_tier_min} or better" if criteria.icp_tier_min else ""),
    ]
    shown = [f"preferably {words}" if criteria.mode_of(key) is Mode.SOFT else words for key, words in parts if words]
    more = [
        f"about {_either(criteria.keywords)}" if criteria.keywords else "",
        f"without {_either(criteria.exclude_keywords)}" if criteria.exclude_keywords else "",
        f"leaving out {', '.join(criteria.suppress_domains)}" if criteria.suppress_domains else "",
        f"accepting unknown {', '.join(criteria.unknown_accepted)}" if criteria.unknown_accepted else "",
        f"({' '.join(criteria.notes.split())})" if criteria.notes else "",
    ]
    return " ".join([*shown, *(words for words in more if words)])


def _place(criteria: Criteria) -> str:
    places = ", ".join(part for part in (_either(criteria.cities), criteria.zip, _either(criteria.states)) if part)
    if not places:
        return ""
    return f"within {criteria.radius_miles:g} miles of {places}" if criteria.radius_miles else f"in {places}"


def _units(criteria: Criteria) -> str:
    least, most = criteria.units_min, criteria.units_max
    if least is not None and most is not None:
        return f"with {least:,} to {most:,} units"
    if least is not None:
        return f"with at least {least:,} units"
    return f"with at most {most:,} units" if most is not None else ""


def _either(values: Iterable[str]) -> str:
    return " or ".join(values)
