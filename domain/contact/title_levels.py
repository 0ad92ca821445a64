"""Rank job titles by level, seniority and department (docs/domain.md, "Contact").

``grounding/job_titles.py`` finds titles on pages.
"""

import re
from enum import IntEnum
from typing import Literal

from domain.frozen_model import FrozenModel

Department = Literal[
    "leadership", "operations", "leasing", "maintenance", "accounting", "business_development", "other"
]
Seniority = Literal["owner", "executive", "director", "manager", "staff"]


class TitleLevel(IntEnum):
    """Decision-maker level, best first. NONE is not a decision maker."""

    OWNER = 1
    DIRECTOR = 2
    OPERATIONS = 3
    MANAGER = 4
    OFFICE = 5
    MAINTENANCE = 6
    NONE = 9


class TitleRank(FrozenModel):
    level: TitleLevel
    seniority: Seniority
    department: Department


_L = TitleLevel
# The first matching pattern wins.
# fmt: off
_TITLES: tuple[tuple[str, TitleLevel, Seniority, Department], ...] = (
    (r"\b(assistant|coordinator|secretary|receptionist|intern)\b", _L.NONE, "staff", "other"),
    (r"\bassociate broker\b", _L.DIRECTOR, "director", "leadership"),
    (r"\bmaintenance|\bfacilit(y|ies)\b|\bhandyman\b", _L.MAINTENANCE, "manager", "maintenance"),
    (r"\bowner (relations|services|support)\b", _L.MANAGER, "manager", "operations"),
    (r"\b(property|rental|home) owners?\b", _L.NONE, "staff", "other"),  # a client, not the company's owner
    (r"\b(co-?)?owners?\b|\b(designated|managing|principal|qualifying) brokers?\b|\bproprietors?\b", _L.OWNER, "owner", "leadership"),
    (r"\b(co-?)?founders?\b|\bmanaging (partner|member|principal)s?\b", _L.OWNER, "owner", "leadership"),
    (r"\bvice[- ]president of (operations|property)|\bv\.?p\.?,? (of )?(operations|property)", _L.DIRECTOR, "executive", "operations"),
    (r"\bvice[- ]president\b|\bv\.?p\.?\b", _L.DIRECTOR, "executive", "leadership"),
    (r"\bpresidents?\b|\bprincipals?\b|\bceo\b|\bcoo\b|\bchief (executive|operating)", _L.OWNER, "executive", "leadership"),
    (r"\bdirector of (property|residential|portfolio)|\bproperty management director\b", _L.DIRECTOR, "director", "operations"),
    (r"\bportfolio managers?\b", _L.DIRECTOR, "manager", "operations"),
    (r"\bdirector of operations\b|\boperations (manager|director)\b", _L.OPERATIONS, "director", "operations"),
    (r"\bbusiness development\b|\bgrowth\b", _L.OFFICE, "manager", "business_development"),
    (r"\bleasing (manager|director)|\bdirector of leasing\b", _L.MANAGER, "manager", "leasing"),
    (r"\bproperty managers?\b|\bmanager of property\b", _L.MANAGER, "manager", "operations"),
    (r"\boffice manager\b", _L.OFFICE, "manager", "operations"),
    (r"\b(bookkeep|account|controller|finance)", _L.NONE, "staff", "accounting"),
    (r"\bleasing\b", _L.NONE, "staff", "leasing"),
)
# fmt: on
_RANKS = tuple(
    (re.compile(pattern, re.IGNORECASE), TitleRank(level=level, seniority=seniority, department=department))
    for pattern, level, seniority, department in _TITLES
)
_UNRANKED = TitleRank(level=TitleLevel.NONE, seniority="staff", department="other")


def rank_title(title: str) -> TitleRank:
    """Return the rank of a printed job title. An unknown title is not a decision maker."""
    return next((rank for pattern, rank in _RANKS if pattern.search(title)), _UNRANKED)
