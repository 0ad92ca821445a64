"""The options of a decision count companies found already, and promise nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from activities.decision_options import options_for
from activities.runs import RunActivities
from domain.activity_io import QuestionInput
from domain.company.facts import CompanyFacts
from domain.company.places import Place
from domain.company.pms_vendors import PmsVendor
from domain.company.status import CompanyStatus, ReasonCode
from domain.request.criteria import parse_criteria
from domain.request.decision import DecisionAction, DecisionOption, DecisionReason
from domain.request.progress import Stage
from domain.request.run_request import Limits
from settings import Settings
from store.companies import companies
from store.database import Connection, Database
from store.runs import agent_turns
from store.runs.agent_turns import TurnKey
from tests.activities.environment import activity_environment
from tests.store.rows import add_company, add_research, add_run, complete


async def bought(conn: Connection, run_id: UUID, cost_usd: float) -> None:
    key = TurnKey(run_id=run_id, subject="company", role="company_research", input_hash="x")
    reserved = await agent_turns.reserve_turn(conn, key, 0, "m", 0.0, None)
    assert isinstance(reserved, agent_turns.Reservation)
    await agent_turns.complete_turn(conn, reserved, [], input_tokens=1, output_tokens=1, cost_usd=cost_usd)


def by_action(options: tuple[DecisionOption, ...]) -> dict[DecisionAction, DecisionOption]:
    return {option.action: option for option in reversed(options)}


async def test_an_option_counts_only_companies_found_already(database: Database) -> None:
    async with database.transaction() as conn:
        request = await add_run(conn, target=2)
        await complete(conn, await add_company(conn, request.run_id, "Acme"))
        for number in range(3):
            elsewhere = await add_company(conn, request.run_id, f"Tulsa {number}")
            facts = CompanyFacts(places=(Place(city="Tulsa", state="OK"),), pms=PmsVendor.BUILDIUM)
            await add_research(conn, request.run_id, elsewhere, facts)
            await companies.end_company(conn, elsewhere, CompanyStatus.REJECTED, ReasonCode.PLACE_NOT_MET)
        await bought(conn, request.run_id, 0.3)
        options = by_action(await options_for(conn, request, DecisionReason.CANDIDATES_EXHAUSTED, "decision-1", 1))

    place = options[DecisionAction.EXPAND_LOCATION]
    # One company is missing, so the run pays for only one of the three.
    assert place.expectation == "3 found already may fit, about $0.30; searches may find more"
    assert options[DecisionAction.RETRY].expectation == ""
    assert options[DecisionAction.ACCEPT_PARTIAL].expectation == ""


async def test_a_question_about_the_budget_says_what_was_spent(database: Database, settings: Settings) -> None:
    async with database.transaction() as conn:
        request = await add_run(conn, target=5, limits=Limits(max_cost_usd=1))
        await bought(conn, request.run_id, 0.95678)
    params = QuestionInput(
        request=request,
        stage=Stage.COMPANY_RESEARCH,
        reason=DecisionReason.BUDGET_REACHED,
        decision_id="decision-1",
        message="0 of 5 companies are complete.",
        complete=0,
        deadline_at=datetime.now(UTC).isoformat(),
    )
    question = await activity_environment().run(RunActivities(database, settings).store_question, params)
    assert question.message == (
        "0 of 5 companies are complete. So far 1 call for $0.9568; the next one may cost more than what is left."
    )


async def test_states_that_replace_a_city_are_counted_together(database: Database) -> None:
    async with database.transaction() as conn:
        request = await add_run(conn, target=9)
        lubbock = parse_criteria({"pms": "Buildium", "city": "Lubbock", "state": "TX"}).criteria
        request = request.model_copy(update={"criteria": lubbock})
        for number, state in enumerate(("TX", "TX", "AZ")):
            elsewhere = await add_company(conn, request.run_id, f"Elsewhere {number}")
            facts = CompanyFacts(places=(Place(city="Elsewhere", state=state),), pms=PmsVendor.BUILDIUM)
            await add_research(conn, request.run_id, elsewhere, facts)
            await companies.end_company(conn, elsewhere, CompanyStatus.REJECTED, ReasonCode.PLACE_NOT_MET)
        options = await options_for(conn, request, DecisionReason.CANDIDATES_EXHAUSTED, "decision-1", 1)

    assert options[0].description == "finish with the 1 complete company"
    assert [
        (option.description, option.expected_companies)
        for option in options
        if option.action is DecisionAction.EXPAND_LOCATION
    ] == [("take all of TX instead of the cities", 2), ("take all of TX, AZ instead of Lubbock", 3)]


async def test_raising_the_budget_says_what_is_missing(database: Database) -> None:
    async with database.transaction() as conn:
        request = await add_run(conn, target=5, limits=Limits(max_cost_usd=1))
        await complete(conn, await add_company(conn, request.run_id, "Acme"))
        await bought(conn, request.run_id, 0.5)
        options = by_action(await options_for(conn, request, DecisionReason.BUDGET_REACHED, "decision-1", 1))

    raised = options[DecisionAction.RAISE_BUDGET]
    assert raised.description == "raise the limit from $1 to $2 (4 more wanted, about $2.00 at the cost so far)"
    assert (raised.expected_companies, raised.expectation) == (None, "")
