"""Computes the price of a model call from the settings, or from the list prices in ``genai-prices``."""

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from settings import Settings

if TYPE_CHECKING:
    from openai.types.responses import ResponseUsage  # takes half a second to import; most commands call no model

_PROVIDER_OVERHEAD_TOKENS = 500  # the provider's own system text and message markers, which are billed too


class Tokens(BaseModel):
    """``input`` includes tokens read from and written to the provider's cache."""

    model_config = ConfigDict(frozen=True)

    input: int = Field(ge=0)
    output: int = Field(ge=0)
    cache_read: int = Field(default=0, ge=0)
    cache_write: int = Field(default=0, ge=0)


def price_usd(settings: Settings, tokens: Tokens) -> float | None:
    """Return the price of a call, or None if unknown. Prices in the settings ignore caching."""
    input_price, output_price = settings.model_price_input_usd_per_mtok, settings.model_price_output_usd_per_mtok
    if input_price is not None and output_price is not None:
        return (tokens.input * input_price + tokens.output * output_price) / 1_000_000
    from genai_prices import Usage, calc_price  # loads its price list at import

    usage = Usage(
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write,
    )
    try:
        return float(calc_price(usage, settings.openai_model, provider_id="openai").total_price)
    except LookupError:
        return None


def estimate_usd(settings: Settings, request_bytes: int) -> float | None:
    """Return the maximum price of a call, or None if unknown.

    It assumes one token per byte, all tokens written to the cache, and an answer of the maximum length.
    """
    input_tokens = request_bytes + _PROVIDER_OVERHEAD_TOKENS
    output_tokens = settings.model_output_tokens_max
    return price_usd(settings, Tokens(input=input_tokens, output=output_tokens, cache_write=input_tokens))


def used_tokens(usage: "ResponseUsage | None") -> Tokens | None:
    """Return the tokens that the provider reports.

    None if it reports none, or numbers that cannot be right (the OpenAI client does not validate them).
    """
    if usage is None:
        return None
    details = getattr(usage, "input_tokens_details", None)
    try:
        tokens = Tokens(
            input=usage.input_tokens,
            output=usage.output_tokens,
            cache_read=getattr(details, "cached_tokens", None) or 0,
            cache_write=getattr(details, "cache_write_tokens", None) or 0,
        )
    except ValidationError:
        return None
    return tokens if tokens.cache_read + tokens.cache_write <= tokens.input else None
