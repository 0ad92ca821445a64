"""What a model call costs. An unknown price is an error where a limit rests on it (DESIGN, "One agent call")."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.cost import UnknownPriceError, cost_usd, estimate_usd, price_usd
from settings import Settings

TOKENS = st.integers(0, 5_000_000)


def settings_of(model: str, **more: Any) -> Settings:
    return Settings(_env_file=None, openai_model=model, **more)


LISTED = settings_of("gpt-5-mini")
UNLISTED = settings_of("our-own-model")
PRICED = settings_of("our-own-model", model_price_input_usd_per_mtok=2.0, model_price_output_usd_per_mtok=8.0)


@pytest.fixture(autouse=True)
def _no_prices_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL_PRICE_INPUT_USD_PER_MTOK", raising=False)
    monkeypatch.delenv("MODEL_PRICE_OUTPUT_USD_PER_MTOK", raising=False)


def test_a_listed_model_has_its_list_price() -> None:
    assert price_usd(LISTED, 1_000_000, 0) == pytest.approx(0.25)
    assert price_usd(LISTED, 0, 1_000_000) == pytest.approx(2.0)


def test_prices_that_are_set_are_used_also_for_a_listed_model() -> None:
    assert price_usd(PRICED, 1_000_000, 500_000) == pytest.approx(6.0)
    dearer = settings_of("gpt-5-mini", model_price_input_usd_per_mtok=10.0, model_price_output_usd_per_mtok=0.0)
    assert price_usd(dearer, 1_000_000, 1_000_000) == pytest.approx(10.0)


@pytest.mark.parametrize("only", ["model_price_input_usd_per_mtok", "model_price_output_usd_per_mtok"])
def test_an_unknown_price_is_an_error_that_names_the_settings(only: str) -> None:
    for chosen in (UNLISTED, settings_of("our-own-model", **{only: 1.0})):
        with pytest.raises(UnknownPriceError, match=r"'our-own-model'.*MODEL_PRICE_INPUT.*MODEL_PRICE_OUTPUT"):
            price_usd(chosen, 1, 1)


def test_a_call_of_unknown_price_counts_as_nothing_but_is_never_estimated_as_free() -> None:
    assert cost_usd(UNLISTED, 1_000_000, 1_000_000) == 0.0
    assert estimate_usd(UNLISTED, 1_000_000) is None


@settings(deadline=None)
@given(TOKENS, TOKENS, TOKENS, TOKENS)
def test_more_tokens_never_cost_less(input_one: int, output_one: int, input_more: int, output_more: int) -> None:
    for chosen in (LISTED, PRICED):
        one = cost_usd(chosen, input_one, output_one)
        assert 0 <= one <= cost_usd(chosen, input_one + input_more, output_one + output_more) + 1e-9


@settings(deadline=None)
@given(st.integers(0, 2_000_000), st.integers(0, 8000))
def test_the_estimate_is_never_below_the_price_of_the_call(characters: int, output_tokens: int) -> None:
    for chosen in (LISTED, PRICED):
        in_english = characters // 4
        estimate = estimate_usd(chosen, characters)
        assert estimate is not None
        assert estimate >= cost_usd(chosen, in_english, output_tokens) - 1e-12


def test_the_estimate_holds_the_longest_answer_allowed() -> None:
    short = settings_of("gpt-5-mini", model_output_tokens_max=100)
    assert estimate_usd(short, 3000) == pytest.approx(price_usd(short, 1000, 100))
