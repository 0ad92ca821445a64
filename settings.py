"""Every setting, typed, from the environment (or a ``.env`` file). Nothing else reads the environment for configuration.

Temporal's own settings (``TEMPORAL_ADDRESS``, ``TEMPORAL_NAMESPACE``, ``TEMPORAL_API_KEY``, ``TEMPORAL_TLS_*``, profiles) are read by
Temporal's environment configuration in ``client/connection.py``, the same as its own command line reads them.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


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
    model_price_input_usd_per_mtok: float | None = Field(
        default=None, ge=0, description="For models without a list price."
    )
    model_price_output_usd_per_mtok: float | None = Field(default=None, ge=0)

    searxng_url: str | None = None
    web_proxy: str | None = None
    page_timeout_s: float = Field(default=15.0, gt=0)
    page_bytes_max: int = Field(default=3_000_000, gt=0)
    page_ttl_hours: float = Field(default=24 * 7, ge=0)
    search_ttl_hours: float = Field(default=24, ge=0)
    failure_ttl_minutes: float = Field(default=30, ge=0, description="How long a failed look-up is not tried again.")

    suppression_contacted_days: int = Field(
        default=90, ge=0, description="Contacted within this window: never deliver."
    )
    decision_deadline_days: float = Field(default=7, ge=0.001, le=365)
    discovery_window: int = Field(default=2, ge=1)
    company_window: int = Field(default=8, ge=1)
    agent_slots: int = Field(default=8, ge=1, description="Agent calls that one worker runs at a time.")
    worker_drain_s: float = Field(
        default=60.0, ge=0, description="How long a stopping worker may finish what it holds."
    )
    worker_ready_file: Path | None = None
    worker_health_port: int | None = None

    smtp_url: SecretStr | None = Field(default=None, description="smtp://[user:password@]host:port, or smtps://")
    mail_from: str = "pm-pipeline@localhost"
    temporal_namespace: str = Field(default="default", description="Only for links; Temporal reads it by itself.")
    temporal_ui_url: str | None = Field(default=None, description="Base address of the Web UI, for links in messages.")

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"

    local_dir: Path = Path(".local")
    local_workers: int = Field(default=1, ge=1)
    demo_seed: int | None = None
