"""Who counts as a contact, at which level, and which are delivered. Pure rules (DOMAIN, "Contact")."""

import re
import unicodedata
from enum import IntEnum, StrEnum
from typing import Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import BaseModel, ConfigDict

from domain.company.hosts import registrable_domain
from domain.contact.mail_domain import MailReason
from domain.evidence import Evidence

Department = Literal[
    "leadership", "operations", "leasing", "maintenance", "accounting", "business_development", "other"
]
Seniority = Literal["owner", "executive", "director", "manager", "staff"]


class Level(IntEnum):
    """Decision-maker level, best first; NONE is not a decision maker."""

    OWNER = 1
    DIRECTOR = 2
    OPERATIONS = 3
    MANAGER = 4
    OFFICE = 5
    MAINTENANCE = 6
    NONE = 9


class EmailStatus(StrEnum):
    """How well an address is proven, best first (DOMAIN's ladder)."""

    PUBLISHED = "published"
    PROVIDER_VERIFIED = "provider_verified"
    INFERRED = "inferred"
    CATCH_ALL = "catch_all"
    UNKNOWN = "unknown"


class ContactDrop(StrEnum):
    """Why a named person is not a contact; counted per company."""

    NOT_NAMED = "not_named"
    NOT_A_DECISION_MAKER = "not_a_decision_maker"
    NOT_REACHABLE = "not_reachable"
    BEYOND_MAXIMUM = "beyond_maximum"


class Person(BaseModel):
    """A person as found and proven on a company's pages. Unproven parts have been set to null before this.

    Attributes:
        email_evidence: where the address is printed; of an inferred one, where the first address of its basis is.
        email_basis: for an address that no page prints: the pattern, and the two published addresses that prove it.
        printed_emails: for a person for whom an address may be inferred, every personal address of the company's domains that its
            pages shown print, whoever's it is; None where none may be inferred.
        email_problem: why mail to a published address cannot arrive. Such an address is kept and not delivered.
    """

    model_config = ConfigDict(frozen=True)

    full_name: str
    title: str
    email: str | None = None
    email_status: EmailStatus = EmailStatus.UNKNOWN
    phone: str | None = None
    linkedin_url: str | None = None
    evidence: Evidence
    email_evidence: Evidence | None = None
    email_basis: str | None = None
    email_problem: MailReason | None = None
    printed_emails: tuple[str, ...] | None = None
    linkedin_evidence: Evidence | None = None
    note: str | None = None
    note_evidence: Evidence | None = None

    @property
    def deliverable_email(self) -> str | None:
        """The address, unless mail to it cannot arrive."""
        return self.email if self.email_problem is None else None


# Ordered: the first pattern that matches gives level, seniority and department. Words from DOMAIN's level list.
_TITLE_RULES: tuple[tuple[str, Level, Seniority, Department], ...] = (
    (r"\b(assistant|coordinator|secretary|receptionist|intern)\b", Level.NONE, "staff", "other"),
    (r"\bassociate broker\b", Level.DIRECTOR, "director", "leadership"),
    (r"\bmaintenance|\bfacilit(y|ies)\b|\bhandyman\b", Level.MAINTENANCE, "manager", "maintenance"),
    (r"\bowner (relations|services|support)\b", Level.MANAGER, "manager", "operations"),
    (r"\b(property|rental|home) owners?\b", Level.NONE, "staff", "other"),  # a client, not the company's owner
    (
        r"\b(co-?)?owners?\b|\b(designated|managing|principal|qualifying) brokers?\b|\bproprietors?\b",
        Level.OWNER,
        "owner",
        "leadership",
    ),
    (r"\b(co-?)?founders?\b|\bmanaging (partner|member|principal)s?\b", Level.OWNER, "owner", "leadership"),
    (
        r"\bvice[- ]president of (operations|property)|\bv\.?p\.?,? (of )?(operations|property)",
        Level.DIRECTOR,
        "executive",
        "operations",
    ),
    (r"\bvice[- ]president\b|\bv\.?p\.?\b", Level.DIRECTOR, "executive", "leadership"),
    (
        r"\bpresidents?\b|\bprincipals?\b|\bceo\b|\bcoo\b|\bchief (executive|operating)",
        Level.OWNER,
        "executive",
        "leadership",
    ),
    (
        r"\bdirector of (property|residential|portfolio)|\bproperty management director\b",
        Level.DIRECTOR,
        "director",
        "operations",
    ),
    (r"\bportfolio managers?\b", Level.DIRECTOR, "manager", "operations"),
    (r"\bdirector of operations\b|\boperations (manager|director)\b", Level.OPERATIONS, "director", "operations"),
    (r"\bbusiness development\b|\bgrowth\b", Level.OFFICE, "manager", "business_development"),
    (r"\bleasing (manager|director)|\bdirector of leasing\b", Level.MANAGER, "manager", "leasing"),
    (
        r"\b(senior |community |regional )?property managers?\b|\bmanager of property\b",
        Level.MANAGER,
        "manager",
        "operations",
    ),
    (r"\boffice manager\b", Level.OFFICE, "manager", "operations"),
    (r"\b(bookkeep|account|controller|finance)", Level.NONE, "staff", "accounting"),
    (r"\bleasing\b", Level.NONE, "staff", "leasing"),
)
_COMPILED_RULES = tuple(
    (re.compile(rule, re.IGNORECASE), level, seniority, department)
    for rule, level, seniority, department in _TITLE_RULES
)

_ROLE_LOCAL_PARTS = frozenset(
    "info contact office leasing lease leases admin administration hello support sales rentals rental rent renting team help service"
    " services maintenance repairs workorders accounting accounts billing invoices payments payable receivable ap ar management"
    " manager managers owners owner-relations tenants tenant residents resident investors landlords careers jobs recruiting"
    " marketing media press noreply no-reply donotreply mail email enquiries inquiries inquiry frontdesk reception receptionist pm"
    " propertymanagement propertymanager propertymanagers officemanager realestate realty webmaster postmaster abuse privacy legal"
    " hr operations ops broker brokers homes houses listings listing properties apply application applications showings tours"
    " moveins moveouts emergency afterhours dispatch vendors vendor customerservice customercare clientservices concierge hoa"
    " feedback reviews newsletter website web".split()
)
FREE_MAIL_DOMAINS = frozenset(
    "gmail.com googlemail.com yahoo.com hotmail.com outlook.com live.com msn.com aol.com icloud.com me.com"
    " protonmail.com proton.me gmx.com mail.com comcast.net att.net verizon.net sbcglobal.net".split()
)
_PLACEHOLDER_WORDS = frozenset(
    "name team member coming soon tbd tba staff published unknown vacant position open hiring you our your office"
    " management property leasing department manager owner president broker director placeholder lorem ipsum n/a"
    " none not available withheld anonymous admin".split()
)
_HONORIFICS = re.compile(r"^(mr|mrs|ms|miss|dr|prof)\.?\s+", re.IGNORECASE)
_LINKEDIN_PERSON = re.compile(r"^https?://([a-z]{2,3}\.)?linkedin\.com/in/[^/?#\s]+/?$", re.IGNORECASE)
_NAME_LENGTH_MAX = 80
_UNSPACED_NAME = re.compile(r"[\u3400-\u9fff\uac00-\ud7a3\u3040-\u30ff]{2,8}")

CONTACT_ATTEMPTS_MAX = 2  # bounded, then another company takes its place (LESSONS F12)


class TitleRank(BaseModel):
    """What a printed title says about its holder."""

    model_config = ConfigDict(frozen=True)

    level: Level
    seniority: Seniority
    department: Department


def rank_title(title: str) -> TitleRank:
    """Level, seniority and department of a printed job title. An unknown title is no decision maker."""
    for pattern, level, seniority, department in _COMPILED_RULES:
        if pattern.search(title):
            return TitleRank(level=level, seniority=seniority, department=department)
    return TitleRank(level=Level.NONE, seniority="staff", department="other")


def clean_name(text: str) -> str:
    """A person's name without control and direction marks, honorific or surplus spaces."""
    visible = "".join(char for char in text if unicodedata.category(char)[0] != "C" or char in "\t\n ")
    return _HONORIFICS.sub("", " ".join(visible.split()))


def is_named_person(name: str) -> bool:
    """Whether a text is a person's name: two or more words with letters and no placeholder or digit among them.

    A name in Chinese, Japanese or Korean characters is written without a space.
    """
    words = name.replace(",", " ").split()
    if _UNSPACED_NAME.fullmatch(name):
        return True
    if not 2 <= len(words) <= 6 or len(name) > _NAME_LENGTH_MAX or any(char.isdigit() for char in name):
        return False
    if any(char in "@/:=<>[]{}|" for char in name) or sum(any(map(str.isalpha, word)) for word in words) < 2:
        return False
    return not any(word.strip(".()").lower() in _PLACEHOLDER_WORDS for word in words)


def clean_email(text: str | None) -> str | None:
    """A normalised address, or None where the text is none. Syntax only (RFC 5321, by email-validator)."""
    if text is None:
        return None
    try:
        return validate_email(text.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        return None


def is_role_mailbox(email: str) -> bool:
    """Whether an address is shared by its local part (info@, leasing@ …), or under a company's domain by a part of it.

    A part has three letters or more (leasing.dallas@, leasing-team@; "hr.smith@" begins with initials). A free-mail address is
    somebody's by its whole ("lee.homes@gmail.com").
    """
    local, _, domain = email.lower().partition("@")
    local = local.partition("+")[0]  # info+austin@ is info@
    parts = (
        [local]
        if domain in FREE_MAIL_DOMAINS
        else [local, *(part for part in re.split(r"[._-]", local) if len(part) > 2)]
    )
    return any(re.sub(r"[._-]?\d+$", "", part) in _ROLE_LOCAL_PARTS for part in parts)


def belongs_to(email: str, company_domains: frozenset[str], *, published_by_company: bool) -> bool:
    """Whether an address is acceptable for a person of a company: the company's own domains, or a free-mail
    address that the company's own site publishes for that person."""
    domain = registrable_domain(email.rpartition("@")[2])
    if domain in company_domains:
        return True
    return domain in FREE_MAIL_DOMAINS and published_by_company


def clean_linkedin(url: str | None) -> str | None:
    """A person's LinkedIn profile address, or None for anything else (a company page is not a person)."""
    if url is None or not _LINKEDIN_PERSON.match(url.strip()):
        return None
    return url.strip()


def is_reachable(person: Person) -> bool:
    """At least one way to reach them that belongs to them and has a column in the contacts file (a phone has none)."""
    return bool(person.deliverable_email or person.linkedin_url)


def quality_score(person: Person) -> int:
    """0 to 100: level (up to 50), reach (up to 35: published email 25, inferred 12, LinkedIn 10), evidence (15).

    The figures are ours; DOMAIN only says "from level, reach and evidence".
    """
    level = {Level.OWNER: 50, Level.DIRECTOR: 42, Level.OPERATIONS: 36, Level.MANAGER: 28, Level.OFFICE: 18}
    points = level.get(rank_title(person.title).level, 8)
    if person.deliverable_email:
        by_status = {EmailStatus.PUBLISHED: 25, EmailStatus.PROVIDER_VERIFIED: 22, EmailStatus.INFERRED: 12}
        points += by_status.get(person.email_status, 5)
    points += 10 if person.linkedin_url else 0
    # The evidence of an inferred address is other people's.
    has_own_proof = person.email_evidence and person.deliverable_email and person.email_basis is None
    points += 15 if has_own_proof or person.linkedin_evidence else 8
    return min(points, 100)


def select_contacts(people: list[Person], contacts_max: int) -> tuple[list[Person], dict[ContactDrop, int]]:
    """The people to deliver, best level first, and how many were left out and why.

    Order: level, then quality, then name, so that the same people give the same selection.
    """
    drops: dict[ContactDrop, int] = {}
    kept: dict[str, Person] = {}
    for person in people:
        if not is_named_person(person.full_name):
            drops[ContactDrop.NOT_NAMED] = drops.get(ContactDrop.NOT_NAMED, 0) + 1
        elif rank_title(person.title).level is Level.NONE:
            drops[ContactDrop.NOT_A_DECISION_MAKER] = drops.get(ContactDrop.NOT_A_DECISION_MAKER, 0) + 1
        elif not is_reachable(person):
            drops[ContactDrop.NOT_REACHABLE] = drops.get(ContactDrop.NOT_REACHABLE, 0) + 1
        else:
            key = person_key(person.full_name)
            if key not in kept or quality_score(person) > quality_score(kept[key]):
                kept[key] = person
    ranked = sorted(kept.values(), key=lambda p: (rank_title(p.title).level, -quality_score(p), p.full_name))
    if len(ranked) > contacts_max:
        drops[ContactDrop.BEYOND_MAXIMUM] = len(ranked) - contacts_max
    return ranked[:contacts_max], drops


def richer(first: Person, second: Person) -> Person:
    """Of two claims about one person the one that proves more; of two that prove as much, the second."""
    return first if quality_score(first) > quality_score(second) else second


def person_key(name: str) -> str:
    """What makes two printed names the same person within one company."""
    folded = unicodedata.normalize("NFKD", name).casefold()
    return " ".join(
        "".join(char if char.isalnum() else " " for char in folded if not unicodedata.combining(char)).split()
    )
