"""Checks in HubSpot whether a company is a customer, and when it was last contacted. Off without ``HUBSPOT_TOKEN``.

Uses only the search API (``POST /crm/v3/objects/companies/search``). HubSpot's limits are 5 filter groups a request, 200
results a page and about 4 requests a second.
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
# HubSpot's default lifecycle stages. An evangelist is a customer who recommends you.
_CUSTOMER_STAGES = frozenset({"customer", "evangelist"})
_DOMAINS_PER_REQUEST = 4  # five filter groups: one for all main domains, and one per additional domain
_PAGE_RESULTS = 200
_REQUESTS_PER_S = 4.0
_CACHE_TTL_S = 600.0
_CACHED_DOMAINS_MAX = 20_000
_TIMEOUT_S = 10.0

CrmReason = Literal["customer", "contacted"]


class HubSpotUnavailableError(Exception):
    """HubSpot gave no reliable answer. Retry, after ``retry_after_s`` if HubSpot gives it."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"HubSpot cannot be read ({reason}): companies are held back until it can")
        self.reason = reason
        self.retry_after_s = retry_after_s


class HubSpotAccessDeniedError(Exception):
    """HubSpot refuses the request. A retry will not help. The message names the setting to fix."""


class HubSpotCompany(BaseModel):
    """A company in HubSpot, with all its domains in normal form."""

    model_config = ConfigDict(frozen=True)

    hubspot_id: str
    domains: tuple[str, ...]
    stage: str | None
    last_contacted_at: datetime | None


class HubSpotCompanies:
    """Finds companies by domain. Rate limited; answers are cached for ten minutes per worker."""

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
        self._interval_s = 1 / requests_per_s
        self._lock = asyncio.Lock()  # one request at a time: keeps the rate limit and asks for each domain once
        self._cache: dict[str, tuple[float, tuple[HubSpotCompany, ...]]] = {}  # (expiry, companies), oldest first

    async def look_up(self, domains: Sequence[str]) -> tuple[HubSpotCompany, ...]:
        """Return the companies that list any of these domains (lower case).

        Raises:
            HubSpotUnavailableError: no answer, a server error, or an answer in another format.
            HubSpotAccessDeniedError: HubSpot refuses the token or the request.
        """
        wanted = tuple(dict.fromkeys(domains))
        async with self._lock:
            now = time.monotonic()
            cached = ((domain, self._cache.get(domain)) for domain in wanted)
            answers = {domain: entry[1] for domain, entry in cached if entry is not None and entry[0] > now}
            missing = [domain for domain in wanted if domain not in answers]
            for start in range(0, len(missing), _DOMAINS_PER_REQUEST):
                answers |= await self._ask(missing[start : start + _DOMAINS_PER_REQUEST])
        found = {company.hubspot_id: company for domain in wanted for company in answers[domain]}
        return tuple(found.values())

    async def reason(self, domains: Sequence[str], contacted_days: int) -> CrmReason | None:
        """Return why a company with these domains must not be delivered, or None.

        A churned customer may be delivered unless it was contacted in the last ``contacted_days``. Raises what ``look_up`` raises.
        """
        companies = await self.look_up(domains)
        stages = {company.stage for company in companies if company.stage}
        if stages & (_CUSTOMER_STAGES - self._churned_stages):
            return "customer"
        since = datetime.now(UTC) - timedelta(days=contacted_days)
        contacted = (company.last_contacted_at for company in companies if company.last_contacted_at)
        return "contacted" if any(at > since for at in contacted) else None

    async def _ask(self, domains: list[str]) -> dict[str, tuple[HubSpotCompany, ...]]:
        filters: list[dict[str, Any]] = [{"propertyName": "domain", "operator": "IN", "values": domains}]
        filters += [
            {"propertyName": "hs_additional_domains", "operator": "CONTAINS_TOKEN", "value": domain}
            for domain in domains
        ]
        search: dict[str, Any] = {
            "filterGroups": [{"filters": [each]} for each in filters],
            "properties": ["name", *_Properties.model_fields],
            "limit": _PAGE_RESULTS,
        }
        companies: list[HubSpotCompany] = []
        seen: set[str] = set()
        while True:
            page = await self._page(search)
            companies += [_company(result) for result in page.results]
            after = page.paging.next.after if page.paging and page.paging.next else None
            if after is None:
                break
            if after in seen:
                raise HubSpotUnavailableError("its paging goes in circles")
            seen.add(after)
            search["after"] = after
        log.info("hubspot_asked", domains=len(domains), companies=len(companies))
        # The search also matches parts of a domain. Keep only companies that list the whole domain.
        answers = {domain: tuple(company for company in companies if domain in company.domains) for domain in domains}
        expires_at = time.monotonic() + _CACHE_TTL_S
        for domain, found in answers.items():
            self._cache.pop(domain, None)
            self._cache[domain] = (expires_at, found)
        while len(self._cache) > _CACHED_DOMAINS_MAX:
            del self._cache[next(iter(self._cache))]
        return answers

    async def _page(self, search: dict[str, Any]) -> "_SearchPage":
        await asyncio.sleep(self._interval_s)
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
            pause_s = retry_after_s(response.headers.get("retry-after"), datetime.now(UTC))
            raise HubSpotUnavailableError(f"HTTP {status}", pause_s)
        if status != httpx2.codes.OK:
            raise HubSpotAccessDeniedError(f"HubSpot refused the search (HTTP {status}): check HUBSPOT_BASE_URL")
        try:
            return _SearchPage.model_validate_json(response.content)
        except ValidationError as error:
            raise HubSpotUnavailableError("its answer is not that of a company search") from error


def hubspot_client(settings: Settings, http: httpx2.AsyncClient) -> HubSpotCompanies | None:
    """Return a client for HubSpot, or None without a token."""
    if settings.hubspot_token is None:
        return None
    churned = settings.hubspot_churned_stages.split(",")
    return HubSpotCompanies(http, settings.hubspot_base_url, settings.hubspot_token, churned_stages=churned)


def http_client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(timeout=_TIMEOUT_S, trust_env=False, follow_redirects=False)


class _Properties(BaseModel):
    """A property that the account does not use is null or missing."""

    domain: str | None = None
    hs_additional_domains: str | None = None
    lifecyclestage: str | None = None
    notes_last_contacted: str | None = None
    hs_last_sales_activity_timestamp: str | None = None


class _Result(BaseModel):
    id: str
    properties: _Properties


class _Next(BaseModel):
    after: str


class _Paging(BaseModel):
    next: _Next | None = None


class _SearchPage(BaseModel):
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
    """Parse ISO 8601, or the milliseconds since 1970 of older properties."""
    if not text:
        return None
    try:
        if text.isdecimal():
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as error:
        raise HubSpotUnavailableError("a time in its answer is not understood") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)
