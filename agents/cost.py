"""What a model call costs: list prices by ``genai-prices``, or the prices set for a model that has none."""

from settings import Settings

_CHARACTERS_PER_TOKEN = 3  # cautious: English text has about 4, JSON and addresses fewer
_PRICE_SETTINGS = "MODEL_PRICE_INPUT_USD_PER_MTOK and MODEL_PRICE_OUTPUT_USD_PER_MTOK"


class UnknownPriceError(Exception):
    """No price is known for the model; the message names the settings that give one."""


def price_usd(settings: Settings, input_tokens: int, output_tokens: int) -> float:
    """Price of a call in US dollars.

    Raises:
        UnknownPriceError: the model is in no price list and no price is set.
    """
    given_input, given_output = settings.model_price_input_usd_per_mtok, settings.model_price_output_usd_per_mtok
    if given_input is not None and given_output is not None:
        return (input_tokens * given_input + output_tokens * given_output) / 1_000_000
    from genai_prices import Usage, calc_price  # its price list is read at import; most commands buy nothing

    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    try:
        return float(calc_price(usage, settings.openai_model, provider_id="openai").total_price)
    except LookupError as error:
        raise UnknownPriceError(
            f"no price is known for the model {settings.openai_model!r}: set {_PRICE_SETTINGS}"
        ) from error


def cost_usd(settings: Settings, input_tokens: int, output_tokens: int) -> float:
    """Price of a call, or 0 where it is unknown. A run with a cost limit is refused before it starts when it is
    unknown (``client/launch.py``), so that a limit never rests on a zero."""
    try:
        return price_usd(settings, input_tokens, output_tokens)
    except UnknownPriceError:
        return 0.0


def estimate_usd(settings: Settings, request_characters: int) -> float | None:
    """Upper bound of a call's price before it is made: the request as sent, and the longest answer allowed. None where
    no price is known: a run with a cost limit may not buy then."""
    try:
        return price_usd(settings, request_characters // _CHARACTERS_PER_TOKEN, settings.model_output_tokens_max)
    except UnknownPriceError:
        return None
