"""What a model call costs: list prices by ``genai-prices``, or the prices set for a model that has none."""

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from settings import Settings

if TYPE_CHECKING:
    from openai.types.responses import ResponseUsage  # half a second to import; most commands buy nothing

_PRICE_SETTINGS = "MODEL_PRICE_INPUT_USD_PER_MTOK and MODEL_PRICE_OUTPUT_USD_PER_MTOK"
# What a service puts around a request of its own (its system text, marks between messages): it is paid for too.
_ADDED_TOKENS = 500


class Tokens(BaseModel):
    """What a call has used. Those read from and written to the provider's cache are among ``input``; of ``output``, some
    may be reasoning."""

    model_config = ConfigDict(frozen=True)

    input: int = Field(ge=0)
    output: int = Field(ge=0)
    cache_read: int = Field(default=0, ge=0)
    cache_write: int = Field(default=0, ge=0)


class UnknownPriceError(Exception):
    """No price is known for the model; the message names the settings that give one."""


def price_usd(
    settings: Settings,
    input_tokens: int,
    output_tokens: int,
    *,
    cache_read_tokens: int = 0,
    cache_write_tokens: int = 0,
) -> float:
    """Price of a call in US dollars.

    Args:
        cache_read_tokens: of the input, those read from the provider's cache, which are cheaper.
        cache_write_tokens: of the input, those written to it, which newer models charge more for. Prices that are set
            know neither.

    Raises:
        UnknownPriceError: the model is in no price list and no price is set.
    """
    given_input, given_output = settings.model_price_input_usd_per_mtok, settings.model_price_output_usd_per_mtok
    if given_input is not None and given_output is not None:
        return (input_tokens * given_input + output_tokens * given_output) / 1_000_000
    from genai_prices import Usage, calc_price  # its price list is read at import; most commands buy nothing

    usage = Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cache_read_tokens,
        cache_write_tokens=cache_write_tokens,
    )
    try:
        return float(calc_price(usage, settings.openai_model, provider_id="openai").total_price)
    except LookupError as error:
        raise UnknownPriceError(
            f"no price is known for the model {settings.openai_model!r}: set {_PRICE_SETTINGS}"
        ) from error


def cost_usd(settings: Settings, used: Tokens) -> float:
    """Price of a call, or 0 where it is unknown. A run with a cost limit is refused before it starts when it is
    unknown (``usecases/start.py``), so that a limit never rests on a zero."""
    try:
        return price_usd(
            settings, used.input, used.output, cache_read_tokens=used.cache_read, cache_write_tokens=used.cache_write
        )
    except UnknownPriceError:
        return 0.0


def estimate_usd(settings: Settings, request_bytes: int) -> float | None:
    """The most that a call can cost, before it is made: each byte of the request (instructions, conversation, tools, schema) a
    token, for no byte-level encoding has more, all of them written to a cache, and the longest answer allowed, reasoning
    included. None where no price is known: a run with a cost limit may not buy then."""
    input_tokens = request_bytes + _ADDED_TOKENS
    try:
        return price_usd(settings, input_tokens, settings.model_output_tokens_max, cache_write_tokens=input_tokens)
    except UnknownPriceError:
        return None


def used_tokens(usage: "ResponseUsage | None") -> Tokens | None:
    """What an answer says it has used; None where a server says nothing, or nothing that can be."""
    if usage is None:
        return None
    details = getattr(usage, "input_tokens_details", None)  # the client passes on whatever a server sends
    try:
        used = Tokens(
            input=usage.input_tokens,
            output=usage.output_tokens,
            cache_read=getattr(details, "cached_tokens", None) or 0,
            cache_write=getattr(details, "cache_write_tokens", None) or 0,
        )
    except ValidationError:
        return None
    return used if used.cache_read + used.cache_write <= used.input else None
