"""Whether a domain takes mail, as far as public data says: the answer and the reason for it. Nothing here asks anybody;
``web/mail_domains.py`` does. Nobody's mail server is spoken to (DOMAIN, "Contact": no SMTP probing)."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class MailVerdict(StrEnum):
    """Whether mail to a domain can arrive. ``unknown`` is not no."""

    ACCEPTS = "accepts"
    REFUSES = "refuses"
    UNKNOWN = "unknown"


class MailReason(StrEnum):
    """What a verdict rests on.

    ``mx``: it names a mail server. ``null_mx``: it says that it takes no mail (RFC 7505). ``no_such_domain``: NXDOMAIN, from a
    resolver that knows the names above it. ``no_mail_host``: neither MX nor an address, so there is nowhere to deliver to
    (RFC 5321, section 5.1). ``disposable``: anybody can read what arrives. ``address_only``: an address and no MX; RFC 5321
    has mail delivered to it, but most such hosts are web servers alone. ``no_answer``: SERVFAIL, a refusal or silence.
    """

    MX = "mx"
    NULL_MX = "null_mx"
    NO_SUCH_DOMAIN = "no_such_domain"
    NO_MAIL_HOST = "no_mail_host"
    DISPOSABLE = "disposable"
    ADDRESS_ONLY = "address_only"
    NO_ANSWER = "no_answer"


_VERDICTS = {
    MailReason.MX: MailVerdict.ACCEPTS,
    MailReason.NULL_MX: MailVerdict.REFUSES,
    MailReason.NO_SUCH_DOMAIN: MailVerdict.REFUSES,
    MailReason.NO_MAIL_HOST: MailVerdict.REFUSES,
    MailReason.DISPOSABLE: MailVerdict.REFUSES,
    MailReason.ADDRESS_ONLY: MailVerdict.UNKNOWN,
    MailReason.NO_ANSWER: MailVerdict.UNKNOWN,
}


class MailDomain(BaseModel):
    """What is known of the mail of one domain."""

    model_config = ConfigDict(frozen=True)

    domain: str
    reason: MailReason

    @property
    def verdict(self) -> MailVerdict:
        """What the reason means for mail to the domain."""
        return _VERDICTS[self.reason]
