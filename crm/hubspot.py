"""What HubSpot knows of a company: whether it is a customer, and when it was last contacted. Off without ``HUBSPOT_TOKEN``.

CRM search API (``POST /crm/v3/objects/companies/search``), as HubSpot documents it: at most 5 filter groups a request, 200 results a
page, paging by ``paging.next.after``, about 4 requests a second, text values in lower case for ``IN``. Read only. An answer that is not
understood is no answer: "not in HubSpot" is only concluded from a search read to its last page (LESSONS F66, F67).
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx2
import structlog
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from domain.company.hosts import normalized_host
from domain.retry_after import retry_after_s
from settings import Settings

log = structlog.get_logger()

_PATH = "/crm/v3/objects/companies/search"
_PROPERTIES = (
    "name",
    "domain",
    "hs_additional_domains",
    "lifecyclestage",
    "notes_last_contacted",
    "hs_last_sales_activity_timestamp",
)
# HubSpot's default lifecycle stages of those who have bought; an evangelist is a customer who recommends.
_CUSTOMER_STAGES = frozenset({"customer", "evangelist"})
_DOMAINS_PER_REQUEST = 4  # one filter group for the main domain, one for each as an additional domain: five in all
_PAGE_RESULTS = 200
_REQUESTS_PER_S = 4.0
_KEPT_S = 600.0
_KEPT_MAX = 20_000
_TIMEOUT_S = 10.0

CrmReason = Literal["customer", "contacted"]


class HubSpotUnavailableError(Exception):
    """HubSpot gave no answer that can be relied on. Worth another try; ``retry_after_s`` as HubSpot asks for it."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"HubSpot cannot be read ({reason}): companies are held back until it can")
        self.reason = reason
        self.retry_after_s = retry_after_s


class HubSpotAccessDeniedError(Exception):
    """HubSpot refuses us; another try would fail alike. The message names the setting to mend."""


class HubSpotCompany(BaseModel):
    """A company as HubSpot has it; ``domains`` are all that it lists, in normal form."""

    model_config = ConfigDict(frozen=True)

    hubspot_id: str
    domains: tuple[str, ...]
    stage: str | None
    last_contacted_at: datetime | None


class HubSpotCompanies:
    """Companies by domain, for one worker: asked at a pace, each domain once in ten minutes."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        base_url: str,
        token: SecretStr,
        *,
        churned_stages: Iterable[str] = (),
        requests_per_s: float = _REQUESTS_PER_S,
    ) -> None:
        self._http = http
        self._url = base_url.rstrip("/") + _PATH
        self._token = token
        self._churned_stages = frozenset(stage.strip().lower() for stage in churned_stages if stage.strip())
        self._pause_s = 1 / requests_per_s
        self._asking = asyncio.Lock()  # one request at a time: the pace holds, and nobody asks what another is asking
        self._kept: dict[str, tuple[float, tuple[HubSpotCompany, ...]]] = {}

    async def look_up(self, domains: Sequence[str]) -> tuple[HubSpotCompany, ...]:
        """The companies that list any of these domains (lower case), from HubSpot or from the last ten minutes.

        Raises:
            HubSpotUnavailableError: no answer, an error of the server, or an answer that is not understood.
            HubSpotAccessDeniedError: the token or the request is refused.
        """
        wanted = tuple(dict.fromkeys(domains))
        async with self._asking:
            now = time.monotonic()
            kept = ((domain, self._kept.get(domain)) for domain in wanted)
            # This look-up's own answers: what is kept makes room for others while it asks.
            answers = {domain: answer[1] for domain, answer in kept if answer is not None and answer[0] > now}
            missing = [domain for domain in wanted if domain not in answers]
            for start in range(0, len(missing), _DOMAINS_PER_REQUEST):
                answers |= await self._ask(missing[start : start + _DOMAINS_PER_REQUEST])
            found = {company.hubspot_id: company for domain in wanted for company in answers[domain]}
        return tuple(found.values())

    async def reason(self, domains: Sequence[str], contacted_days: int) -> CrmReason | None:
        """Why a company of these domains must not be delivered, or None. Raises what ``look_up`` raises.

        A churned customer may return; one who was contacted within the window is left alone like any other company.
        """
        companies = await self.look_up(domains)
        stages = {company.stage for company in companies if company.stage}
        if stages & (_CUSTOMER_STAGES - self._churned_stages):
            return "customer"
        since = datetime.now(UTC) - timedelta(days=contacted_days)
        contacted = (company.last_contacted_at for company in companies if company.last_contacted_at)
        return "contacted" if any(at > since for at in contacted) else None

    async def _ask(self, domains: list[str]) -> dict[str, tuple[HubSpotCompany, ...]]:
        """The companies of each domain, from HubSpot; kept for the next ten minutes."""
        groups: list[dict[str, Any]] = [{"propertyName": "domain", "operator": "IN", "values": domains}]
        groups += [
            {"propertyName": "hs_additional_domains", "operator": "CONTAINS_TOKEN", "value": domain}
            for domain in domains
        ]
        search: dict[str, Any] = {
            "filterGroups": [{"filters": [group]} for group in groups],
            "properties": list(_PROPERTIES),
            "limit": _PAGE_RESULTS,
        }
        companies: list[HubSpotCompany] = []
        after: str | None = None
        seen: set[str] = set()
        while True:
            page = await self._page({**search, **({"after": after} if after else {})})
            companies += [_company(result) for result in page.results]
            after = page.paging.next.after if page.paging and page.paging.next else None
            if after is None:
                break
            if after in seen:
                raise HubSpotUnavailableError("its paging goes in circles")
            seen.add(after)
        log.info("hubspot_asked", domains=len(domains), companies=len(companies))
        # The search also takes parts of a name for it: only a company that lists the very domain counts.
        answers = {domain: tuple(company for company in companies if domain in company.domains) for domain in domains}
        self._keep(answers)
        return answers

    def _keep(self, answers: dict[str, tuple[HubSpotCompany, ...]]) -> None:
        """Answers go last, so those kept are in the order in which they expire; of too many, the first go."""
        until = time.monotonic() + _KEPT_S
        for domain, companies in answers.items():
            self._kept.pop(domain, None)
            self._kept[domain] = (until, companies)
        while len(self._kept) > _KEPT_MAX:
            del self._kept[next(iter(self._kept))]

    async def _page(self, search: dict[str, Any]) -> "_SearchPage":
        await asyncio.sleep(self._pause_s)
        headers = {"Authorization": f"Bearer {self._token.get_secret_value()}"}
        try:
            response = await self._http.post(self._url, json=search, headers=headers)
        except httpx2.TimeoutException as error:
            raise HubSpotUnavailableError("timeout") from error
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise HubSpotUnavailableError(f"unreachable, {type(error).__name__}") from error
        status = response.status_code
        if status in {401, 403}:
            raise HubSpotAccessDeniedError(
                f"HubSpot refused us (HTTP {status}): check HUBSPOT_TOKEN, the access token of a private app with the scope "
                "crm.objects.companies.read; companies are held back until it is accepted"
            )
        if status in {408, 429} or status >= 500:
            raise HubSpotUnavailableError(
                f"HTTP {status}", retry_after_s(response.headers.get("retry-after"), datetime.now(UTC))
            )
        if status != httpx2.codes.OK:
            raise HubSpotAccessDeniedError(f"HubSpot refused the search (HTTP {status}): check HUBSPOT_BASE_URL")
        try:
            return _SearchPage.model_validate_json(response.content)
        except ValidationError as error:
            raise HubSpotUnavailableError("its answer is not that of a company search") from error


def hubspot_client(settings: Settings, http: httpx2.AsyncClient) -> HubSpotCompanies | None:
    """HubSpot as the settings name it, or None without a token."""
    if settings.hubspot_token is None:
        return None
    churned = settings.hubspot_churned_stages.split(",")
    return HubSpotCompanies(http, settings.hubspot_base_url, settings.hubspot_token, churned_stages=churned)


def http_client() -> httpx2.AsyncClient:
    """A client with HubSpot's time-out, for ``hubspot_client``; to be closed by the caller."""
    return httpx2.AsyncClient(timeout=_TIMEOUT_S, trust_env=False, follow_redirects=False)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Properties(_Model):
    """A property that the account does not use comes as null, or not at all."""

    domain: str | None = None
    hs_additional_domains: str | None = None
    lifecyclestage: str | None = None
    notes_last_contacted: str | None = None
    hs_last_sales_activity_timestamp: str | None = None


class _Result(_Model):
    id: str
    properties: _Properties


class _Next(_Model):
    after: str


class _Paging(_Model):
    next: _Next | None = None


class _SearchPage(_Model):
    results: list[_Result]
    paging: _Paging | None = None


def _company(result: _Result) -> HubSpotCompany:
    properties = result.properties
    listed = (properties.domain or "", *(properties.hs_additional_domains or "").split(";"))
    hosts = (normalized_host(name) for name in listed if name.strip())
    times = (_time(properties.notes_last_contacted), _time(properties.hs_last_sales_activity_timestamp))
    return HubSpotCompany(
        hubspot_id=result.id,
        domains=tuple(dict.fromkeys(host for host in hosts if host)),
        stage=(properties.lifecyclestage or "").strip().lower() or None,
        last_contacted_at=max((at for at in times if at), default=None),
    )


def _time(text: str | None) -> datetime | None:
    """ISO 8601, or milliseconds since 1970 as older properties have it."""
    if not text:
        return None
    try:
        if text.isdecimal():
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as error:
        raise HubSpotUnavailableError("a time in its answer is not understood") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)
