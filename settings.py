"""Every setting, typed, from the environment (or a ``.env`` file). Nothing else reads the environment for configuration.

Temporal's own settings (``TEMPORAL_ADDRESS``, ``TEMPORAL_NAMESPACE``, ``TEMPORAL_API_KEY``, ``TEMPORAL_TLS_*``, profiles) are read by
Temporal's environment configuration in ``runtime/connection.py``, the same as its own command line reads them.
"""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

STOP_MARGIN_S = 30.0
"""Seconds that a worker needs at most between the end of ``WORKER_DRAIN_S`` and being killed. With everything away: 5 to store an
answer that has come, 10 for a step to give up on the database, 5 for searches under way and 3 for their claims, 5 for MCP
servers; the rest is reserve."""

SearchBackendName = Literal["searxng", "serper", "tavily", "brave", "openai"]

_SETTING_OF_SEARCH: dict[SearchBackendName, str] = {
    "searxng": "searxng_url",
    "serper": "serper_api_key",
    "tavily": "tavily_api_key",
    "brave": "brave_api_key",
    "openai": "openai_api_key",
}


class Settings(BaseSettings):
    """Settings of all processes. Field names in upper case are the environment variables."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True)

    temporal_address: str | None = Field(default=None, description="Only to tell a configured server from a local one.")
    database_url: SecretStr | None = Field(default=None, description="PostgreSQL connection string.")
    database_pool_max: int = 10

    openai_api_key: SecretStr | None = None
    openai_base_url: str | None = None
    openai_model: str = "gpt-5-mini"
    model_timeout_s: float = Field(default=120.0, gt=0)
    model_output_tokens_max: int = Field(default=8000, gt=0, description="Upper bound of one answer.")
    model_requests_per_minute: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="Of all workers together; 0: no limit."
    )
    model_price_input_usd_per_mtok: float | None = Field(
        default=None, ge=0, description="For models without a list price."
    )
    model_price_output_usd_per_mtok: float | None = Field(default=None, ge=0)

    searxng_url: str | None = None
    serper_api_key: SecretStr | None = None
    serper_base_url: str = "https://google.serper.dev"
    tavily_api_key: SecretStr | None = None
    tavily_base_url: str = "https://api.tavily.com"
    brave_api_key: SecretStr | None = None
    brave_base_url: str = "https://api.search.brave.com"
    search_backend: SearchBackendName | None = Field(
        default=None, description="Not set: the first above whose address or key is set (docs/search.md)."
    )
    search_requests_per_minute: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="To the search back end, of all workers together; 0: no limit.",
    )
    web_proxy: str | None = None
    page_timeout_s: float = Field(default=15.0, gt=0)
    host_request_interval_s: float = Field(
        default=1.0,
        ge=0,
        allow_inf_nan=False,
        description="Least seconds between the starts of two requests to one site, of all workers; 0: as fast as can be.",
    )
    crawl_delay_max_s: float = Field(
        default=10.0, ge=0, allow_inf_nan=False, description="The most that a site's Crawl-delay can ask for."
    )
    rate_limit_wait_max_s: float = Field(
        default=120.0, ge=0, le=240, description="How long one request queues for its site at most."
    )
    page_bytes_max: int = Field(default=3_000_000, gt=0)
    page_ttl_hours: float = Field(default=24 * 7, ge=0)
    search_ttl_hours: float = Field(default=24, ge=0)
    mcp_config: Path | None = Field(default=None, description="An mcpServers JSON file (docs/mcp.md).")
    mcp_ttl_hours: float = Field(default=24, ge=0)
    mcp_start_timeout_s: float = Field(default=60.0, gt=0, description="npx and the like may first have to download.")
    mcp_call_timeout_s: float = Field(default=60.0, gt=0)
    mcp_calls_max: int = Field(default=4, ge=1, description="Calls that one server works on at a time, per worker.")
    mcp_restarts_per_minute_max: int = Field(default=3, ge=0, description="Of a server that was lost, per worker.")
    failure_ttl_minutes: float = Field(default=30, ge=0, description="How long a failed look-up is not tried again.")
    mail_dns: bool = Field(
        default=True, description="Ask DNS whether the domains of e-mail addresses take mail (docs/contacts.md)."
    )

    suppression_contacted_days: int = Field(
        default=90, ge=0, description="Contacted within this window: never deliver."
    )
    hubspot_token: SecretStr | None = Field(
        default=None, description="Also ask HubSpot before a company is delivered (docs/imports.md)."
    )
    hubspot_base_url: str = "https://api.hubapi.com"
    hubspot_churned_stages: str = Field(
        default="", description="Lifecycle stages of customers who have left, separated by commas: they may return."
    )
    known_company_days: int = Field(
        default=180,
        ge=0,
        description="How long what an agent has proven of a company is reused by other runs; 0: never.",
    )
    known_contacts_days: int = Field(default=90, ge=0, description="The same for the people of a company; 0: never.")
    decision_deadline_days: float = Field(default=7, ge=0.001, le=365)
    outage_recheck_s: float = Field(
        default=60, gt=0, description="After how long a run first asks whether what was down answers again."
    )
    discovery_window: int = Field(default=2, ge=1)
    company_window: int = Field(default=8, ge=1)
    agent_slots: int = Field(default=8, ge=1, description="Agent calls that one worker runs at a time.")
    worker_drain_s: float = Field(
        default=60.0,
        ge=0,
        description="How long a stopping worker may finish what it holds; kill it 30 s later at the earliest.",
    )
    worker_versioning: Literal["off", "on", "promote"] = Field(
        default="off",
        description="on: work goes to the build that was made current; promote: a worker that starts makes its own current.",
    )
    worker_build_id: str | None = Field(
        default=None, min_length=1, max_length=100, description="Not set: a hash of the code (docs/upgrades.md)."
    )
    worker_ready_file: Path | None = None
    worker_health_port: int | None = Field(default=None, ge=0, le=65_535)

    smtp_url: SecretStr | None = Field(default=None, description="smtp://[user:password@]host:port, or smtps://")
    mail_from: str = "pm-pipeline@localhost"
    temporal_namespace: str = Field(default="default", description="Only for links; Temporal reads it by itself.")
    temporal_ui_url: str | None = Field(default=None, description="Base address of the Web UI, for links in messages.")

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"

    local_dir: Path = Path(".local")
    local_workers: int = Field(default=1, ge=1)
    demo_seed: int | None = None

    @field_validator("search_backend")
    @classmethod
    def _search_backend_has_its_key(
        cls, name: SearchBackendName | None, info: ValidationInfo
    ) -> SearchBackendName | None:
        # Only the settings declared above it are known here; one that was itself not usable is reported first.
        setting = _SETTING_OF_SEARCH[name] if name else None
        if setting in info.data and info.data[setting] is None:
            raise PydanticCustomError("search_setting_missing", "it needs {setting}", {"setting": setting.upper()})
        return name

    @property
    def chosen_search(self) -> SearchBackendName | None:
        """The search back end: the one that ``SEARCH_BACKEND`` names, else the first whose address or key is set.

        OpenAI's is chosen by its name only: its key is set for the model, and does not say that searches may cost money too.
        """
        if self.search_backend is not None:
            return self.search_backend
        given: tuple[tuple[SearchBackendName, object], ...] = (
            ("searxng", self.searxng_url),
            ("serper", self.serper_api_key),
            ("tavily", self.tavily_api_key),
            ("brave", self.brave_api_key),
        )
        return next((name for name, value in given if value is not None), None)


def environment_variables() -> dict[str, str]:
    """The variables of this process over those of ``.env``: what ``${NAME}`` in a configuration file may mean."""
    from_file = DotEnvSettingsSource(
        Settings, env_file=Settings.model_config.get("env_file"), case_sensitive=True
    ).env_vars
    return {name: value for name, value in from_file.items() if value is not None} | dict(os.environ)
