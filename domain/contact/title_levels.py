"""Job titles ranked: which level, seniority and department a printed title stands for."""

import re
from enum import IntEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

Department = Literal[
    "leadership", "operations", "leasing", "maintenance", "accounting", "business_development", "other"
]
Seniority = Literal["owner", "executive", "director", "manager", "staff"]


class TitleLevel(IntEnum):
    """Decision-maker level, best first; NONE is not a decision maker."""

    OWNER = 1
    DIRECTOR = 2
    OPERATIONS = 3
    MANAGER = 4
    OFFICE = 5
    MAINTENANCE = 6
    NONE = 9


# Ordered: the first pattern that matches gives level, seniority and department. Words from DOMAIN's level list.
_TITLE_RULES: tuple[tuple[str, TitleLevel, Seniority, Department], ...] = (
    (r"\b(assistant|coordinator|secretary|receptionist|intern)\b", TitleLevel.NONE, "staff", "other"),
    (r"\bassociate broker\b", TitleLevel.DIRECTOR, "director", "leadership"),
    (r"\bmaintenance|\bfacilit(y|ies)\b|\bhandyman\b", TitleLevel.MAINTENANCE, "manager", "maintenance"),
    (r"\bowner (relations|services|support)\b", TitleLevel.MANAGER, "manager", "operations"),
    (r"\b(property|rental|home) owners?\b", TitleLevel.NONE, "staff", "other"),  # a client, not the company's owner
    (
        r"\b(co-?)?owners?\b|\b(designated|managing|principal|qualifying) brokers?\b|\bproprietors?\b",
        TitleLevel.OWNER,
        "owner",
        "leadership",
    ),
    (r"\b(co-?)?founders?\b|\bmanaging (partner|member|principal)s?\b", TitleLevel.OWNER, "owner", "leadership"),
    (
        r"\bvice[- ]president of (operations|property)|\bv\.?p\.?,? (of )?(operations|property)",
        TitleLevel.DIRECTOR,
        "executive",
        "operations",
    ),
    (r"\bvice[- ]president\b|\bv\.?p\.?\b", TitleLevel.DIRECTOR, "executive", "leadership"),
    (
        r"\bpresidents?\b|\bprincipals?\b|\bceo\b|\bcoo\b|\bchief (executive|operating)",
        TitleLevel.OWNER,
        "executive",
        "leadership",
    ),
    (
        r"\bdirector of (property|residential|portfolio)|\bproperty management director\b",
        TitleLevel.DIRECTOR,
        "director",
        "operations",
    ),
    (r"\bportfolio managers?\b", TitleLevel.DIRECTOR, "manager", "operations"),
    (r"\bdirector of operations\b|\boperations (manager|director)\b", TitleLevel.OPERATIONS, "director", "operations"),
    (r"\bbusiness development\b|\bgrowth\b", TitleLevel.OFFICE, "manager", "business_development"),
    (r"\bleasing (manager|director)|\bdirector of leasing\b", TitleLevel.MANAGER, "manager", "leasing"),
    (
        r"\b(senior |community |regional )?property managers?\b|\bmanager of property\b",
        TitleLevel.MANAGER,
        "manager",
        "operations",
    ),
    (r"\boffice manager\b", TitleLevel.OFFICE, "manager", "operations"),
    (r"\b(bookkeep|account|controller|finance)", TitleLevel.NONE, "staff", "accounting"),
    (r"\bleasing\b", TitleLevel.NONE, "staff", "leasing"),
)
_COMPILED_RULES = tuple(
    (re.compile(rule, re.IGNORECASE), level, seniority, department)
    for rule, level, seniority, department in _TITLE_RULES
)


class TitleRank(BaseModel):
    """What a printed title says about its holder."""

    model_config = ConfigDict(frozen=True)

    level: TitleLevel
    seniority: Seniority
    department: Department


def rank_title(title: str) -> TitleRank:
    """TitleLevel, seniority and department of a printed job title. An unknown title is no decision maker."""
    for pattern, level, seniority, department in _COMPILED_RULES:
        if pattern.search(title):
            return TitleRank(level=level, seniority=seniority, department=department)
    return TitleRank(level=TitleLevel.NONE, seniority="staff", department="other")
