"""Whether a domain accepts mail, according to DNS. ``web/mail_domains.py`` queries DNS. No mail server is contacted."""

from enum import StrEnum

from domain.frozen_model import FrozenModel


class MailVerdict(StrEnum):
    ACCEPTS = "accepts"
    REFUSES = "refuses"
    UNKNOWN = "unknown"


class MailReason(StrEnum):
    """The DNS answer behind a verdict."""

    MX = "mx"
    NULL_MX = "null_mx"  # the domain declares that it accepts no mail (RFC 7505)
    NO_SUCH_DOMAIN = "no_such_domain"  # NXDOMAIN
    NO_MAIL_HOST = "no_mail_host"  # neither MX nor address (RFC 5321, section 5.1)
    DISPOSABLE = "disposable"  # throw-away mailboxes that anybody can read
    ADDRESS_ONLY = "address_only"  # no MX: mail may arrive (RFC 5321), but most are only web servers
    NO_ANSWER = "no_answer"  # SERVFAIL, refused, or no reply


_VERDICTS = {
    MailReason.MX: MailVerdict.ACCEPTS,
    MailReason.NULL_MX: MailVerdict.REFUSES,
    MailReason.NO_SUCH_DOMAIN: MailVerdict.REFUSES,
    MailReason.NO_MAIL_HOST: MailVerdict.REFUSES,
    MailReason.DISPOSABLE: MailVerdict.REFUSES,
}


class MailDomain(FrozenModel):
    domain: str
    reason: MailReason

    @property
    def verdict(self) -> MailVerdict:
        return _VERDICTS.get(self.reason, MailVerdict.UNKNOWN)
