"""A person found on a company's pages, and the rules for names."""

import re
import unicodedata

from pydantic import BaseModel, ConfigDict

from domain.contact.email_address import EmailStatus
from domain.contact.mail_domain import MailReason
from domain.evidence import Evidence


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


_PLACEHOLDER_WORDS = frozenset(
    "name team member coming soon tbd tba staff published unknown vacant position open hiring you our your office"
    " management property leasing department manager owner president broker director placeholder lorem ipsum n/a"
    " none not available withheld anonymous admin".split()
)
_HONORIFICS = re.compile(r"^(mr|mrs|ms|miss|dr|prof)\.?\s+", re.IGNORECASE)
_LINKEDIN_PERSON = re.compile(r"^https?://([a-z]{2,3}\.)?linkedin\.com/in/[^/?#\s]+/?$", re.IGNORECASE)
_NAME_LENGTH_MAX = 80
_UNSPACED_NAME = re.compile(r"[\u3400-\u9fff\uac00-\ud7a3\u3040-\u30ff]{2,8}")


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


def clean_linkedin(url: str | None) -> str | None:
    """A person's LinkedIn profile address, or None for anything else (a company page is not a person)."""
    if url is None or not _LINKEDIN_PERSON.match(url.strip()):
        return None
    return url.strip()


def is_reachable(person: Person) -> bool:
    """At least one way to reach them that belongs to them and has a column in the contacts file (a phone has none)."""
    return bool(person.deliverable_email or person.linkedin_url)


def person_key(name: str) -> str:
    """What makes two printed names the same person within one company."""
    folded = unicodedata.normalize("NFKD", name).casefold()
    return " ".join(
        "".join(char if char.isalnum() else " " for char in folded if not unicodedata.combining(char)).split()
    )
