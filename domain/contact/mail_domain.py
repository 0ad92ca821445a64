"""Whether a domain accepts mail, as far as DNS tells. ``web/mail_domains.py`` asks DNS; no mail server is contacted."""

from enum import StrEnum

from domain.frozen_model import FrozenModel


class MailVerdict(StrEnum):
    """Whether mail to a domain can arrive."""

    ACCEPTS = "accepts"
    REFUSES = "refuses"
    UNKNOWN = "unknown"


class MailReason(StrEnum):
    """The DNS answer behind a verdict."""

    MX = "mx"
    NULL_MX = "null_mx"  # the domain declares that it accepts no mail (RFC 7505)
    NO_SUCH_DOMAIN = "no_such_domain"  # NXDOMAIN
    NO_MAIL_HOST = "no_mail_host"  # neither MX nor address (RFC 5321, section 5.1)
    DISPOSABLE = "disposable"  # a throw-away mailbox that anybody can read
    ADDRESS_ONLY = "address_only"  # an address without MX: mail may arrive (RFC 5321), but most are web servers only
    NO_ANSWER = "no_answer"  # SERVFAIL, a refusal or silence


_VERDICTS = {
    MailReason.MX: MailVerdict.ACCEPTS,
    MailReason.NULL_MX: MailVerdict.REFUSES,
    MailReason.NO_SUCH_DOMAIN: MailVerdict.REFUSES,
    MailReason.NO_MAIL_HOST: MailVerdict.REFUSES,
    MailReason.DISPOSABLE: MailVerdict.REFUSES,
}


class MailDomain(FrozenModel):
    """What DNS says about the mail of one domain."""

    domain: str
    reason: MailReason

    @property
    def verdict(self) -> MailVerdict:
        """Whether mail to the domain can arrive."""
        return _VERDICTS.get(self.reason, MailVerdict.UNKNOWN)
