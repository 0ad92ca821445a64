"""All settings, read from the environment or a ``.env`` file.

Only ``runtime/connection.py`` also reads the environment. It reads Temporal's own settings (``TEMPORAL_ADDRESS``,
``TEMPORAL_NAMESPACE``, ``TEMPORAL_API_KEY``, ``TEMPORAL_TLS_*``, profiles) in the same way as Temporal's command line.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

STOP_MARGIN_S = 30.0
"""The longest time that a worker needs after ``WORKER_DRAIN_S``, with every server down: 5 s to store an answer, 10 s for an
activity to give up on the database, 5 s for open searches, 3 s for their claims, 5 s for MCP servers, and a reserve."""

SearchBackendName = Literal["searxng", "serper", "tavily", "brave", "openai"]

FiniteSeconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PerMinute = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_SETTING_OF_SEARCH: dict[SearchBackendName, str] = {
    "searxng": "searxng_url",
    "serper": "serper_api_key",
    "tavily": "tavily_api_key",
    "brave": "brave_api_key",
    "openai": "openai_api_key",
}


class Settings(BaseSettings):
    """Settings of all processes. A field's environment variable is its name in upper case."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True)

    temporal_address: str | None = Field(default=None, description="Unset: the local stack, or Temporal's profile.")
    database_url: SecretStr | None = Field(default=None, description="PostgreSQL connection string.")
    database_pool_max: int = 10

    openai_api_key: SecretStr | None = None
    openai_base_url: str | None = None
    openai_model: str = "gpt-5-mini"
    model_timeout_s: float = Field(default=120.0, gt=0)
    model_output_tokens_max: int = Field(default=8000, gt=0, description="Longest answer of the model.")
    model_requests_per_minute: PerMinute = Field(default=0.0, description="Shared by all workers; 0: no limit.")
    model_price_input_usd_per_mtok: float | None = Field(default=None, ge=0, description="For models of unknown price.")
    model_price_output_usd_per_mtok: float | None = Field(default=None, ge=0)

    searxng_url: str | None = None
    serper_api_key: SecretStr | None = None
    serper_base_url: str = "https://google.serper.dev"
    tavily_api_key: SecretStr | None = None
    tavily_base_url: str = "https://api.tavily.com"
    brave_api_key: SecretStr | None = None
    brave_base_url: str = "https://api.search.brave.com"
    search_backend: SearchBackendName | None = Field(
        default=None, description="Unset: the first one above whose URL or key is set (docs/search.md)."
    )
    search_requests_per_minute: PerMinute = Field(default=0.0, description="Shared by all workers; 0: no limit.")

    web_proxy: str | None = None
    page_timeout_s: float = Field(default=15.0, gt=0)
    host_request_interval_s: FiniteSeconds = Field(
        default=1.0, description="Shortest time between two requests to a site, for all workers together; 0: no limit."
    )
    crawl_delay_max_s: FiniteSeconds = Field(default=10.0, description="Longest Crawl-delay that is respected.")
    rate_limit_wait_max_s: float = Field(default=120.0, ge=0, le=240, description="Longest wait for a site or service.")
    page_bytes_max: int = Field(default=3_000_000, gt=0)
    page_ttl_hours: float = Field(default=24 * 7, ge=0)
    search_ttl_hours: float = Field(default=24, ge=0)
    failure_ttl_minutes: float = Field(default=30, ge=0, description="A failed lookup is not retried for this long.")

    mcp_config: Path | None = Field(default=None, description="An mcpServers JSON file (docs/mcp.md).")
    mcp_ttl_hours: float = Field(default=24, ge=0)
    mcp_start_timeout_s: float = Field(default=60.0, gt=0, description="Allows npx to download a server first.")
    mcp_call_timeout_s: float = Field(default=60.0, gt=0)
    mcp_calls_max: int = Field(default=4, ge=1, description="Concurrent calls per server and worker.")
    mcp_restarts_per_minute_max: int = Field(default=3, ge=0, description="Per server and worker.")

    mail_dns: bool = Field(default=True, description="Check by DNS that email domains accept mail.")
    suppression_contacted_days: int = Field(
        default=90, ge=0, description="Companies contacted within this time are not delivered."
    )
    hubspot_token: SecretStr | None = Field(
        default=None, description="Also ask HubSpot before a company is delivered (docs/imports.md)."
    )
    hubspot_base_url: str = "https://api.hubapi.com"
    hubspot_churned_stages: str = Field(
        default="", description="Lifecycle stages of former customers, separated by commas; these may be delivered."
    )
    known_company_days: int = Field(
        default=180, ge=0, description="How long other runs reuse the research on a company; 0: never."
    )
    known_contacts_days: int = Field(
        default=90, ge=0, description="How long other runs reuse a company's contacts; 0: never."
    )

    decision_deadline_days: float = Field(default=7, ge=0.001, le=365)
    outage_recheck_s: float = Field(
        default=60, gt=0, description="First wait before a failed dependency is checked again."
    )
    discovery_window: int = Field(default=2, ge=1, description="Open search tasks per run.")
    company_window: int = Field(default=8, ge=1, description="Open companies per run.")
    agent_slots: int = Field(default=8, ge=1, description="Concurrent agent calls per worker.")

    worker_drain_s: float = Field(
        default=60.0,
        ge=0,
        description="How long a stopping worker may finish its activities; wait 30 s more before you kill it.",
    )
    worker_versioning: Literal["off", "on"] = Field(
        default="off", description="on: work goes to the build that is current in Temporal (docs/upgrades.md)."
    )
    worker_build_id: str | None = Field(
        default=None, min_length=1, max_length=100, description="For example the commit."
    )
    worker_ready_file: Path | None = Field(default=None, description="Written when the worker takes work.")
    worker_health_port: int | None = Field(default=None, ge=0, le=65_535)

    smtp_url: SecretStr | None = Field(default=None, description="smtp://[user:password@]host:port, or smtps://")
    mail_from: str = "pm-pipeline@localhost"
    temporal_namespace: str = Field(default="default", description="For links; Temporal reads the variable itself.")
    temporal_ui_url: str | None = Field(default=None, description="Base address of the Web UI, for links.")

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
        # info.data holds the valid fields that are declared above this one.
        setting = _SETTING_OF_SEARCH[name] if name else None
        if setting in info.data and info.data[setting] is None:
            raise PydanticCustomError("search_setting_missing", "it needs {setting}", {"setting": setting.upper()})
        return name

    @property
    def chosen_search(self) -> SearchBackendName | None:
        """The search back end: ``SEARCH_BACKEND``, or the first one whose URL or key is set.

        OpenAI's search must be chosen by name. Its key is set for the model, and that does not permit paid searches.
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
    """Return the variables that ``${NAME}`` in a configuration file can name: the process's own and those of ``.env``."""
    from_file = DotEnvSettingsSource(
        Settings, env_file=Settings.model_config.get("env_file"), case_sensitive=True
    ).env_vars
    return {name: value for name, value in from_file.items() if value is not None} | dict(os.environ)
