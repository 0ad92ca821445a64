"""Recognises names of people and job titles by their shape.

Each function reads one short text. ``people.py`` decides what belongs together.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from local.demo.model.text import word_set

_PARTICLES = word_set("de del della di da dos das du la le van von der den ter bin ibn al el y af av zu mac st")
_SUFFIXES = word_set("jr sr ii iii iv v esq phd md")
_HONORIFIC = re.compile(r"^(?:mr|mrs|ms|miss|mx|dr|prof|rev|hon|capt|sgt)\.?\s+", re.IGNORECASE)
_CREDENTIALS = re.compile(
    r"(?:,?\s+|,\s*|\s*\()(?:CPM|RMP|MPM|RPA|CAM|CMCA|AMS|PCAM|ARM|CRS|GRI|CCIM|ABR|SRS|CRMC|CIPS|REALTORS?|NALP"
    r"|CAPS|CPA|MBA|Esq|PMP|SFR|CRB|SRES|CRPM|RPM)\b[®™.)]*",
)
_IMAGE_WORDS = re.compile(r"^(?:photo|portrait|headshot|picture|image)(?: of|:)?\s+", re.IGNORECASE)

# Capitalised words that are never part of a name.
_NOT_IN_NAMES = word_set(
    """
    a about account accounting address agent all american an and apartments apply are as assistant association
    associate at
    available best blog board book broker brokerage builders business buy by call careers center ceo certified chat
    chief city click
    client clients coming commercial communities community company condo condominium contact contractor contractors
    coo corporate
    county coordinator customer customers department designated details directions director directors download email
    employee equal estate executive faq fax features fees find firm follow for founded founder free friday from
    frequently full get group
    guide hello help hoa holdings home homes hours housing how i in inc info information insurance investment
    investments investor
    investors is it join landlord landlords lead leaders leadership learn leasing licensed links listing listings llc
    login ltd
    mail maintenance manage managed management manager managers managing map market meet member members menu message
    monday mission
    more mortgage my name national new news no not now number of office officer on online open operations or our
    owned owner owners page
    partner partners pay people phone photo placeholder please podcast policy portal portfolio position president
    press prices
    pricing principal privacy professional professionals programs properties property provided published questions
    quote read real
    realtor realty receptionist rent rental rentals request resident residential residents reviews road roofing sales
    saturday schedule
    search see send senior service services serving sign single site skip small social sold solutions soon staff
    state story street
    suite sunday support supervisor tba tbd team technician tenant tenants terms testimonials that the their this to
    today toggle
    trust tuesday unknown us vacancies vacancy vacation vacant values vendor vendors vice view visit vp we website
    wednesday welcome what who
    why with work working year years you your thursday text toll local main menu linkedin facebook twitter instagram
    youtube google
    family multifamily mixed use square feet bedrooms beds baths web access connect account centre
    """
)
_TOKEN = re.compile(r"[^\W\d_][\w'’ʼ`´.-]*$")
# Scripts without capitals: Hebrew, Arabic, Indic, Thai, Korean, Chinese, Japanese. A Latin form may follow in brackets.
_CASELESS = "\u0590-\u07ff\u0900-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_CASELESS_NAME = re.compile(rf"[{_CASELESS}]{{1,12}}(?:[ ·・][{_CASELESS}]{{1,12}}){{0,3}}")
_LATIN_READING = re.compile(r"(?:\s*\([A-Z][\w'’.-]*(?: [A-Z][\w'’.-]*){1,3}\))?(?=\s*(?:$|[,|–—:(\-]|[A-Z\[]))")

_ROLES = word_set(
    """
    owner owners co-owner coowner founder co-founder cofounder broker president principal ceo coo cfo cto cmo officer
    partner
    member director vp evp svp avp manager supervisor superintendent proprietor head chairman chairwoman chair
    administrator
    coordinator assistant agent specialist accountant bookkeeper controller technician tech realtor representative
    receptionist
    concierge consultant inspector lead analyst clerk handyman bdm associate
    """
)
_TITLE_MODIFIERS = word_set(
    """
    accounting acquisition acquisitions administration administrative and asset assistant associate broker brokerage
    business
    care chief client commercial community construction customer deputy designated development division estate executive
    experience field finance financial founding general growth head hoa human in investor junior lead leasing licensed
    maintenance management managing marketing of office operating operations owner people performance portfolio
    prelease president
    principal property qualifying real regional relations rental rentals renovation resident residential resources sales
    senior service services single-family sr success systems technology tenant the vendor vice
    """
)
_JOINERS = frozenset({"and", "of", "in", "the", "&", "/", "+", "-", "–", ""})
_OUTSIDER = re.compile(
    r"\b(?:(?:home|property|rental|house|condo|landlord) ?owner|homeowner|landlord|tenant|resident|investor|renter"
    r"|client|customer|guest|contractor|reviewer|local guide)\b",
    re.IGNORECASE,
)
# The first match wins. Levels of decision makers: 1 owner … 5 office and business development.
_LEVELS: tuple[tuple[int, re.Pattern[str]], ...] = (
    (6, re.compile(r"\bmaintenance\b|\btechnician\b|\bhandyman\b|\bfacilit", re.IGNORECASE)),
    (9, re.compile(r"\b(?:assistant|coordinator|specialist|administrator|receptionist|clerk|intern)\b", re.IGNORECASE)),
    (
        2,
        re.compile(
            r"\bassociate broker\b|\bdirector of (?:residential )?(?:property|portfolio) management\b",
            re.IGNORECASE,
        ),
    ),
    (2, re.compile(r"\bproperty management director\b|\bportfolio (?:manager|director)\b", re.IGNORECASE)),
    (2, re.compile(r"\b(?:e|s)?vp\b|\bvice[ -]president\b", re.IGNORECASE)),
    (
        1,
        re.compile(
            r"\b(?:co-?)?owner\b|\bfounder\b|\bbroker\b|\bpresident\b|\bprincipal\b|\bproprietor\b",
            re.IGNORECASE,
        ),
    ),
    (
        1,
        re.compile(
            r"\bc[eof]o\b|\bchief\b|\bpartner\b|\bmanaging (?:member|director)\b|\bexecutive director\b",
            re.IGNORECASE,
        ),
    ),
    (
        3,
        re.compile(
            r"\bdirector\b|\boperations (?:manager|lead)\b|\bmanager of operations\b|\bhead of\b",
            re.IGNORECASE,
        ),
    ),
    (3, re.compile(r"\bgeneral manager\b", re.IGNORECASE)),
    (
        5,
        re.compile(
            r"\b(?:office|business development|bdm|marketing|accounting|hr|growth|sales|community|client) manager\b",
            re.IGNORECASE,
        ),
    ),
    (4, re.compile(r"\bmanager\b|\bproperty supervisor\b", re.IGNORECASE)),
)
STAFF_LEVEL = 9


@dataclass(frozen=True)
class NameMatch:
    """A name, and the text after it. ``name`` is verbatim."""

    name: str
    rest: str


def read_name(text: str) -> NameMatch | None:
    """Return the person's name at the start of a text, without honorifics and credentials, or None.

    ``"Dr. Jane O'Neil, CPM, Broker/Owner"`` → name ``Jane O'Neil``, rest ``Broker/Owner``.
    """
    start = _IMAGE_WORDS.sub("", text.strip())
    start = _HONORIFIC.sub("", start)
    if (caseless := _CASELESS_NAME.match(start)) and (reading := _LATIN_READING.match(start[caseless.end() :])):
        name = start[: caseless.end() + reading.end()].strip()
        return NameMatch(name, _rest(start[len(name) :]))
    words = start.split(" ")
    best = None
    for count in range(2, min(6, len(words)) + 1):
        name = " ".join(words[:count])
        tail = " ".join(words[count:])
        closed = name.rstrip(",;:")
        if is_name(closed):
            best = NameMatch(closed, _rest(name[len(closed) :] + (f" {tail}" if tail else "")))
        if closed != name and not _suffix_follows(tail):
            break
    return best


def is_name(text: str) -> bool:
    """Whether the whole text has the shape of a person's name."""
    words = text.strip().lstrip("=+@-").replace(",", "").split()
    if not 2 <= len(words) <= 6:
        return False
    core = [word for word in words if word.strip(".").lower() not in _SUFFIXES]
    proper = 0
    for position, word in enumerate(core):
        bare = word.strip("\"“”()'‘’").strip(".")
        if bare.lower() in _PARTICLES and position > 0:
            continue
        if not bare or bare.lower() in _NOT_IN_NAMES or not _TOKEN.match(bare):
            return False
        if bare[0].islower() or (len(bare) > 1 and not re.search(r"\w", bare[1:])):
            return False
        proper += 1
    return 2 <= proper <= 4 and len(core[-1].strip(".")) > 1 and core[0].lower() != "de"


def is_title(text: str) -> bool:
    """Whether the whole text is a job title: only trade words, at least one of them a role."""
    words = _title_words(text)
    if not 1 <= len(words) <= 10 or len(text) > 80 or _OUTSIDER.search(text):
        return False
    core = [word for word in words if word not in _JOINERS]
    edges_hold = words[0] not in _JOINERS and words[-1] not in _JOINERS
    return (
        edges_hold and any(word in _ROLES for word in core) and all(w in _ROLES or w in _TITLE_MODIFIERS for w in core)
    )


def names_role(text: str) -> bool:
    """Whether any word could be the role in a title. A fast first check."""
    return not _ROLES.isdisjoint(re.split(r"[^a-z-]+", text.lower()))


def leading_title(text: str) -> str:
    """Return the longest title at the start of a text, verbatim, or an empty string."""
    pieces = re.findall(r"\s*\S+", text)[:10]
    best = ""
    for count in range(1, len(pieces) + 1):
        chunk = "".join(pieces[:count]).strip()
        bare = chunk.rstrip(".,;:|)(-–—&/ ")
        if is_title(bare):
            best = bare
        if (
            re.search(r"[.;:|()\n]$", chunk)
            and not re.search(
                r"\b(?:Sr|Jr|Asst|Dir|Mgr|Ops)\.$",
                chunk,
            )
        ) or re.fullmatch(r"[–—|•·]", pieces[count - 1].strip()):
            break
    return best


def trailing_title(text: str) -> str:
    """Return the longest title at the end of a text, verbatim, or an empty string."""
    pieces = re.findall(r"\S+\s*", text)[-10:]
    best = ""
    for count in range(1, len(pieces) + 1):
        chunk = "".join(pieces[-count:]).strip()
        bare = chunk.strip(",:;–—| ")
        if re.search(r"[.;:|()]\s", chunk):
            break
        if is_title(bare):
            best = bare
    return best


def title_level(title: str) -> int:
    """Return the level from 1 (owner) to 6 (maintenance), or `STAFF_LEVEL` for all other titles."""
    for level, pattern in _LEVELS:
        if pattern.search(title):
            return level
    return STAFF_LEVEL


def name_key(name: str) -> str:
    """Return a key that is the same for all spellings of a name."""
    words = [word.strip(".,\"“”()'‘’").lower() for word in name.split()]
    return " ".join(word for word in words if word and word not in _SUFFIXES)


def name_fits_mailbox(name: str, mailbox: str) -> bool:
    """Whether a mailbox contains a part of the name or consists of the initials."""
    box = re.sub(r"[^a-z]", "", mailbox.lower())
    parts = [re.sub(r"[^a-z]", "", word) for word in name_key(_ascii(name)).split()]
    parts = [part for part in parts if part]
    if any(len(part) > 2 and part in box for part in parts):
        return True
    initials = "".join(part[0] for part in parts)
    return bool(initials) and box in (initials, initials[0] + initials[-1])


def _title_words(text: str) -> list[str]:
    return [word.strip(".").lower() for word in re.split(r"[\s/,]+|(?<=\w)&(?=\w)", text.strip(" .,-–—|:()")) if word]


def _ascii(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))


def _rest(text: str) -> str:
    return _CREDENTIALS.sub("", f" {text}").strip(" ,;:|–—-•·()")


def _suffix_follows(tail: str) -> bool:
    return bool(tail) and tail.split(" ", 1)[0].strip(".,").lower() in _SUFFIXES
