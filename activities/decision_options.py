"""Options of a decision: what each does, may yield and may cost."""

from domain.company.places import zip_place
from domain.request.criteria import CRITERION_KEYS
from domain.request.decision import DecisionAction, DecisionOption, DecisionReason
from domain.request.run_request import RunRequest
from store.database import Connection
from store.runs import option_estimates

_CHOICES_MAX = 3
_RETRY_SEARCH = "try again: remaining searches, and companies that failed or were short of contacts"
_RETRY_TEXT: dict[DecisionReason, str] = {
    DecisionReason.CANDIDATES_EXHAUSTED: _RETRY_SEARCH,
    DecisionReason.LOW_MATCH_RATE: _RETRY_SEARCH,
    DecisionReason.CONTACTS_SHORT: "look for contacts again at companies that are short of them",
    DecisionReason.STAGE_TIMEOUT: "continue for another stage time-out",
    DecisionReason.DEPENDENCY_DOWN: "try again now",
    DecisionReason.BUDGET_REACHED: "try again now",
}


async def options_for(
    conn: Connection, request: RunRequest, reason: DecisionReason, decision_id: str, complete: int
) -> tuple[DecisionOption, ...]:
    """Return the options that fit the run now. Each contains the answer to send.

    Expected companies are those rejected only for the option's criterion. They may still fail a later check.
    """
    per_company = await option_estimates.cost_per_complete(conn, request.run_id)
    gap = request.target_quantity - complete
    options = _Options(decision_id, gap, per_company)
    companies = "company" if complete == 1 else "companies"
    options.add(DecisionAction.ACCEPT_PARTIAL, f"finish with the {complete} complete {companies}", 0)
    if reason is DecisionReason.BUDGET_REACHED:
        cost = f", about ${per_company * gap:.2f} at the cost so far" if per_company else ""
        _add_budget_options(request, options, f" ({gap:,} more wanted{cost})")
    else:
        await _add_place_options(conn, request, options)
        await _add_pms_options(conn, request, options)
        await _add_units_options(conn, request, options)
        await _add_unknown_options(conn, request, options)
        options.add(DecisionAction.RETRY, _RETRY_TEXT[reason])
    options.add(DecisionAction.CANCEL, "end the run; what was found is kept and can be exported")
    return tuple(options.added)


class _Options:
    def __init__(self, decision_id: str, gap: int, cost_per_company_usd: float | None) -> None:
        self.added: list[DecisionOption] = []
        self.gap = gap
        self._decision_id = decision_id
        self._cost_per_company_usd = cost_per_company_usd

    def add(self, action: DecisionAction, description: str, expected: int | None = None, **params: object) -> None:
        cost = None
        if self._cost_per_company_usd is not None and expected:
            # The run stops at its target, so it pays only for the missing companies.
            cost = round(self._cost_per_company_usd * min(expected, self.gap), 2)
        self.added.append(
            DecisionOption(
                action=action,
                description=description,
                answer={"decision_id": self._decision_id, "action": action.value, **params},
                expected_companies=expected,
                expected_cost_usd=cost,
            )
        )


def _add_budget_options(request: RunRequest, options: _Options, missing: str) -> None:
    usd, calls = request.limits.max_cost_usd, request.limits.max_model_calls
    if usd is not None:
        doubled = float(f"{usd * 2:.3g}")  # rounding to cents could turn a tiny limit into 0
        text = f"raise the limit from ${usd:g} to ${doubled:g}{missing}"
        options.add(DecisionAction.RAISE_BUDGET, text, max_cost_usd=doubled)
    if calls is not None:
        text = f"raise the limit from {calls} to {calls * 2} model calls{missing}"
        options.add(DecisionAction.RAISE_BUDGET, text, max_model_calls=calls * 2)


async def _add_place_options(conn: Connection, request: RunRequest, options: _Options) -> None:
    criteria, action = request.criteria, DecisionAction.EXPAND_LOCATION
    if "place" not in criteria.asked():
        return
    before = len(options.added)
    if criteria.zip and criteria.radius_miles is not None:
        radius = min(500.0, criteria.radius_miles * 2)
        options.add(action, f"widen the radius to {radius:g} miles", radius_miles=radius)
    counts = await option_estimates.states_elsewhere(conn, request.run_id, [vendor.value for vendor in criteria.pms])
    if criteria.states and (criteria.cities or criteria.zip):
        text = f"take all of {', '.join(criteria.states)} instead of the cities"
        inside = sum(count for state, count in counts if state in criteria.states)
        options.add(action, text, inside or None, whole_state=True)
    # A new state replaces cities or a ZIP. The option says so, and counts companies in all its states.
    narrower = criteria.cities or ((f"ZIP {criteria.zip}",) if criteria.zip else ())
    around = zip_place(criteria.zip) if criteria.zip and not criteria.states else None
    elsewhere = [(state, count) for state, count in counts if state not in criteria.states]
    for state, count in elsewhere[:_CHOICES_MAX]:
        if narrower:
            whole = list(dict.fromkeys(code for code in (*criteria.states, around and around.state, state) if code))
            text = f"take all of {', '.join(whole)} instead of {', '.join(narrower)}"
            expected = sum(number for code, number in counts if code in whole)
            options.add(action, text, expected, states=[state])
        else:
            options.add(action, f"add {state}", count, states=[state])
    if len(options.added) == before:
        options.add(action, "add a state of your choice", states=["<two-letter code>"])


async def _add_pms_options(conn: Connection, request: RunRequest, options: _Options) -> None:
    if not request.criteria.pms:
        return
    excluded = set(request.criteria.pms_exclude)
    vendors = [item for item in await option_estimates.other_vendors(conn, request.run_id) if item[0] not in excluded]
    for vendor, count in vendors[:_CHOICES_MAX]:
        options.add(DecisionAction.LOOSEN_PMS, f"also take companies that run {vendor}", count, pms=[vendor])
    rejected = await option_estimates.count_by_reason(conn, request.run_id)
    count = rejected.get("pms_not_met", 0) + rejected.get("pms_unknown", 0)
    options.add(DecisionAction.LOOSEN_PMS, "make the software a soft criterion", count, pms_soft=True)


async def _add_units_options(conn: Connection, request: RunRequest, options: _Options) -> None:
    minimum = request.criteria.units_min
    if minimum is None:
        return
    below = [units for units in await option_estimates.units_below(conn, request.run_id) if units < minimum]
    if below:
        enough = below[min(options.gap, len(below)) - 1]
        count = sum(units >= enough for units in below)
        options.add(DecisionAction.LOWER_UNITS, f"lower the minimum to {enough} units", count, units_min=enough)


async def _add_unknown_options(conn: Connection, request: RunRequest, options: _Options) -> None:
    rejected = await option_estimates.count_by_reason(conn, request.run_id)
    for key in CRITERION_KEYS:
        count = rejected.get(f"{key}_unknown")
        if count and key not in request.criteria.unknown_accepted:
            text = f"accept companies whose {key} is unknown"
            options.add(DecisionAction.ACCEPT_UNKNOWN, text, count, criteria=[key])
