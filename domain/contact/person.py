"""People found on a company's pages, and checks of names and LinkedIn profiles (docs/domain.md, "Contact")."""

import re
import unicodedata

from domain.contact.email_address import EmailStatus
from domain.contact.mail_domain import MailReason
from domain.evidence import Evidence
from domain.frozen_model import FrozenModel

_PLACEHOLDER_WORDS = frozenset(
    "name team member coming soon tbd tba staff published unknown vacant position open hiring you our your office"
    " management property leasing department manager owner president broker director placeholder lorem ipsum n/a"
    " none not available withheld anonymous admin".split()
)
_HONORIFICS = re.compile(r"^(mr|mrs|ms|miss|dr|prof)\.?\s+", re.IGNORECASE)
_LINKEDIN_PERSON = re.compile(r"^https?://([a-z]{2,3}\.)?linkedin\.com/in/[^/?#\s]+/?$", re.IGNORECASE)
_NAME_LENGTH_MAX = 80
_CJK_NAME = re.compile(r"[\u3400-\u9fff\uac00-\ud7a3\u3040-\u30ff]{2,8}")  # written without a space


class Person(FrozenModel):
    """A person found on a company's pages. Unproven fields are None.

    Attributes:
        email_evidence: where the address is printed. For an inferred one, where the first address of ``email_basis`` is.
        email_basis: for an inferred address, the pattern and the two published addresses that prove it.
        email_problem: why mail to a published address cannot arrive. The address is stored but not delivered.
        printed_emails: every personal address in the company's domains on its pages. None if the person may not get an
            inferred address.
    """

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
        return self.email if self.email_problem is None else None

    @property
    def is_reachable(self) -> bool:
        """Whether the person has a deliverable address or a profile. The contacts file has no phone column."""
        return bool(self.deliverable_email or self.linkedin_url)


def clean_name(text: str) -> str:
    """Remove an honorific, control and direction marks, and extra spaces."""
    visible = "".join(char for char in text if unicodedata.category(char)[0] != "C" or char in "\t\n ")
    return _HONORIFICS.sub("", " ".join(visible.split()))


def is_named_person(name: str) -> bool:
    """Whether a text is a person's name: two to six words, without placeholders or digits."""
    if _CJK_NAME.fullmatch(name):
        return True
    words = name.replace(",", " ").split()
    if not 2 <= len(words) <= 6 or len(name) > _NAME_LENGTH_MAX:
        return False
    if any(char.isdigit() or char in "@/:=<>[]{}|" for char in name):
        return False
    if sum(any(map(str.isalpha, word)) for word in words) < 2:
        return False
    return not any(word.strip(".()").lower() in _PLACEHOLDER_WORDS for word in words)


def person_key(name: str) -> str:
    """Return a key that is equal for two spellings of the same name."""
    folded = unicodedata.normalize("NFKD", name).casefold()
    return " ".join(
        "".join(char if char.isalnum() else " " for char in folded if not unicodedata.combining(char)).split()
    )


def clean_linkedin(url: str | None) -> str | None:
    """Return the URL of a person's LinkedIn profile, or None for other pages."""
    if url is None or not _LINKEDIN_PERSON.match(url.strip()):
        return None
    return url.strip()
