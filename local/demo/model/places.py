"""US states, and the place that a text names. There is no list of cities."""

from __future__ import annotations

import re
from dataclasses import dataclass

STATES: dict[str, str] = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California", "CO": "Colorado",
    "CT": "Connecticut", "DE": "Delaware", "FL": "Florida", "GA": "Georgia", "HI": "Hawaii", "ID": "Idaho",
    "IL": "Illinois", "IN": "Indiana", "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky", "LA": "Louisiana",
    "ME": "Maine", "MD": "Maryland", "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota",
    "MS": "Mississippi", "MO": "Missouri", "MT": "Montana", "NE": "Nebraska", "NV": "Nevada", "NH": "New Hampshire",
    "NJ": "New Jersey", "NM": "New Mexico", "NY": "New York", "NC": "North Carolina", "ND": "North Dakota",
    "OH": "Ohio", "OK": "Oklahoma", "OR": "Oregon", "PA": "Pennsylvania", "RI": "Rhode Island",
    "SC": "South Carolina", "SD": "South Dakota", "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VT": "Vermont",
    "VA": "Virginia", "WA": "Washington", "WV": "West Virginia", "WI": "Wisconsin", "WY": "Wyoming",
    "DC": "District of Columbia",
}  # fmt: skip
_CITY = r"(?P<city>[A-Z][\w.'-]*(?: (?:[A-Z][\w.'-]*|of|de|del|la|the)){0,4})"
_STATE = rf"(?P<state>(?:{'|'.join(STATES)})\b|(?:{'|'.join(STATES.values())})\b)"
_CITY_STATE = re.compile(rf"\b{_CITY},\s*{_STATE}")
_IN_CITY = re.compile(rf"\b(?:[Bb]ased in|[Ll]ocated in|[Ss]erving|[Oo]ffices? in|[Cc]ity:)\s+{_CITY}")
_STATE_NAME = re.compile(rf"\b(?:{'|'.join(sorted(STATES.values(), key=len, reverse=True))})\b")
_TITLE_PLACE = re.compile(rf"\bin\s+{_CITY},\s*(?P<state>{'|'.join(STATES)})\b")


@dataclass(frozen=True)
class Place:
    """A place from a task or a source. Missing parts are empty."""

    city: str
    state: str


def read_place(text: str) -> Place | None:
    """Return the place in a text, such as ``Austin, TX`` or ``Based in Austin``, or None."""
    if match := _CITY_STATE.search(text):
        return Place(match["city"], match["state"])
    if match := _IN_CITY.search(text):
        return Place(match["city"].rstrip("."), "")
    return None


def is_elsewhere(title: str, wanted: Place) -> bool:
    """Whether a title names another city or state and not the wanted one."""
    name = STATES.get(wanted.state, wanted.state)
    if match := _TITLE_PLACE.search(title):
        same_city = not wanted.city or match["city"].casefold() == wanted.city.casefold()
        return match["state"] != wanted.state or not same_city
    named = set(_STATE_NAME.findall(title))
    return bool(wanted.state) and bool(named) and name not in named
