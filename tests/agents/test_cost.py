"""What a model call costs."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import ResponseUsage

from agents.cost import Tokens, estimate_usd, price_usd, used_tokens
from settings import Settings

TOKENS = st.integers(0, 5_000_000)


def settings_of(model: str, **more: Any) -> Settings:
    return Settings(_env_file=None, openai_model=model, **more)


LISTED = settings_of("gpt-5-mini")
CACHED = settings_of("gpt-5.6-luna")  # charges more for cache writes, and more from 272,000 tokens on
UNLISTED = settings_of("our-own-model")
PRICED = settings_of("our-own-model", model_price_input_usd_per_mtok=2.0, model_price_output_usd_per_mtok=8.0)
OVERRIDDEN = settings_of("gpt-5-mini", model_price_input_usd_per_mtok=10.0, model_price_output_usd_per_mtok=0.0)


@pytest.fixture(autouse=True)
def _no_prices_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL_PRICE_INPUT_USD_PER_MTOK", raising=False)
    monkeypatch.delenv("MODEL_PRICE_OUTPUT_USD_PER_MTOK", raising=False)


@pytest.mark.parametrize(
    ("model", "input_tokens", "output_tokens", "usd"),
    [
        (LISTED, 1_000_000, 0, 0.25),
        (LISTED, 0, 1_000_000, 2.0),
        (PRICED, 1_000_000, 500_000, 6.0),
        (OVERRIDDEN, 1_000_000, 1_000_000, 10.0),
    ],
    ids=["list price", "list price of output", "price from settings", "settings before list"],
)
def test_price(model: Settings, input_tokens: int, output_tokens: int, usd: float) -> None:
    assert price_usd(model, Tokens(input=input_tokens, output=output_tokens)) == pytest.approx(usd)


@pytest.mark.parametrize(
    "model",
    [
        UNLISTED,
        settings_of("our-own-model", model_price_input_usd_per_mtok=1.0),
        settings_of("our-own-model", model_price_output_usd_per_mtok=1.0),
    ],
    ids=["none", "input only", "output only"],
)
def test_an_unknown_price_is_none(model: Settings) -> None:
    assert price_usd(model, Tokens(input=1, output=1)) is None
    assert estimate_usd(model, 1_000_000) is None


def price_of(settings: Settings, tokens: Tokens) -> float:
    price = price_usd(settings, tokens)
    assert price is not None
    return price


def test_cache_reads_cost_less_and_writes_may_cost_more() -> None:
    everything = {"input": 100_000, "output": 0}
    plain = price_of(CACHED, Tokens(**everything))
    assert price_of(CACHED, Tokens(**everything, cache_read=100_000)) == pytest.approx(plain / 10)
    assert price_of(CACHED, Tokens(**everything, cache_write=100_000)) == pytest.approx(plain * 1.25)
    assert price_of(PRICED, Tokens(**everything, cache_read=100_000)) == pytest.approx(0.2), "settings know no cache"


@settings(deadline=None)
@given(TOKENS, TOKENS, TOKENS, TOKENS)
def test_more_tokens_never_cost_less(input_one: int, output_one: int, input_more: int, output_more: int) -> None:
    for chosen in (LISTED, PRICED):
        one = price_of(chosen, Tokens(input=input_one, output=output_one))
        more = price_of(chosen, Tokens(input=input_one + input_more, output=output_one + output_more))
        assert 0 <= one <= more + 1e-9


@settings(deadline=None, max_examples=30)
@given(st.text(max_size=200), st.integers(0, 3000), st.data())
def test_estimate_is_never_below_the_price(text: str, repeats: int, data: st.DataObject) -> None:
    size = len(text.encode(errors="replace")) * repeats
    used_input = data.draw(st.integers(0, size + 500))  # a byte-level encoding has at most one token per byte
    from_cache = data.draw(st.integers(0, used_input))
    used = Tokens(
        input=used_input,
        output=data.draw(st.integers(0, 8000)),
        cache_read=from_cache,
        cache_write=data.draw(st.integers(0, used_input - from_cache)),
    )
    for chosen in (LISTED, PRICED, CACHED):
        estimate = estimate_usd(chosen, size)
        assert estimate is not None
        assert estimate >= price_of(chosen, used) - 1e-12


def test_estimate_includes_the_longest_answer() -> None:
    short, long = (settings_of("gpt-5-mini", model_output_tokens_max=tokens) for tokens in (100, 1100))
    one, other = estimate_usd(short, 3000), estimate_usd(long, 3000)
    assert one is not None and other is not None
    assert other - one == pytest.approx(price_of(short, Tokens(input=0, output=1000)))


def _usage(**fields: Any) -> ResponseUsage:
    """As the client passes it on: whatever the server has sent."""
    return cast(ResponseUsage, SimpleNamespace(**{"input_tokens": 10, "output_tokens": 5, **fields}))


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        pytest.param(
            _usage(input_tokens_details=SimpleNamespace(cached_tokens=4, cache_write_tokens=3)),
            Tokens(input=10, output=5, cache_read=4, cache_write=3),
            id="with cache",
        ),
        pytest.param(_usage(), Tokens(input=10, output=5), id="without cache"),
        pytest.param(None, None, id="none"),
        pytest.param(_usage(input_tokens=None), None, id="no input"),
        pytest.param(_usage(output_tokens=-1), None, id="negative"),
        pytest.param(_usage(output_tokens="many"), None, id="words"),
        pytest.param(_usage(input_tokens_details=SimpleNamespace(cached_tokens=11)), None, id="more cached than input"),
    ],
)
def test_reported_usage(usage: ResponseUsage | None, tokens: Tokens | None) -> None:
    assert used_tokens(usage) == tokens
