"""Working out the options of a decision: what can be done, what it may yield and what that would cost."""

from typing import Protocol

from domain.company.places import zip_place
from domain.request.criteria import CRITERION_KEYS
from domain.request.decision import DecisionAction, DecisionOption, DecisionReason
from domain.request.run_request import RunRequest
from store.database import Connection
from store.runs import option_yields

_CHOICES_MAX = 3


class _Option(Protocol):
    def __call__(
        self, action: DecisionAction, description: str, expected: int | None = None, **params: object
    ) -> DecisionOption: ...


async def options_for(
    conn: Connection, request: RunRequest, reason: DecisionReason, decision_id: str, complete: int
) -> tuple[DecisionOption, ...]:
    """The options that make sense for a run as it stands; each carries the answer to send.

    Expected companies are those found already and turned away for just this. Neither more nor less is known: they may fail
    a later step, and the searches that go on may find any number.
    """
    per_company = await option_yields.cost_per_complete(conn, request.run_id)
    gap = request.target_quantity - complete

    def option(
        action: DecisionAction, description: str, expected: int | None = None, **params: object
    ) -> DecisionOption:
        return DecisionOption(
            action=action,
            description=description,
            answer={"decision_id": decision_id, "action": action.value, **params},
            expected_companies=expected,
            # No more than are missing are worked on to the end.
            expected_cost_usd=round(per_company * min(expected, gap), 2)
            if per_company is not None and expected
            else None,
        )

    options = [
        option(
            DecisionAction.ACCEPT_PARTIAL,
            f"finish with the {complete} complete compan{'y' if complete == 1 else 'ies'}",
            0,
        )
    ]
    if reason is DecisionReason.BUDGET_REACHED:
        missing = f" ({gap:,} more wanted" + (
            f", about ${per_company * gap:.2f} at the cost so far)" if per_company else ")"
        )
        options += [
            option(DecisionAction.RAISE_BUDGET, text + missing, None, **params) for text, params in _raises(request)
        ]
    else:
        options += await _place_options(conn, request, option)
        options += await _pms_options(conn, request, option)
        options += await _units_options(conn, request, gap, option)
        options += await _unknown_options(conn, request, option)
        options.append(option(DecisionAction.RETRY, _RETRY_TEXT[reason]))
    options.append(option(DecisionAction.CANCEL, "end the run; what was found is kept and can be exported"))
    return tuple(options)


_RETRY_TEXT: dict[DecisionReason, str] = {
    DecisionReason.CANDIDATES_EXHAUSTED: "try again: searches that are left, and companies that failed or were short of contacts",
    DecisionReason.LOW_MATCH_RATE: "try again: searches that are left, and companies that failed or were short of contacts",
    DecisionReason.CONTACTS_SHORT: "look for contacts again at the companies that came short",
    DecisionReason.STAGE_TIMEOUT: "go on for another stage time-out",
    DecisionReason.DEPENDENCY_DOWN: "try again now",
    DecisionReason.BUDGET_REACHED: "try again now",
}


def _raises(request: RunRequest) -> list[tuple[str, dict[str, object]]]:
    limits = request.limits
    found: list[tuple[str, dict[str, object]]] = []
    if limits.max_cost_usd is not None:
        doubled = float(f"{limits.max_cost_usd * 2:.3g}")  # to the cent, a small one would be raised to nothing
        found.append((f"raise the limit from ${limits.max_cost_usd:g} to ${doubled:g}", {"max_cost_usd": doubled}))
    if limits.max_model_calls is not None:
        calls = limits.max_model_calls * 2
        found.append(
            (f"raise the limit from {limits.max_model_calls} to {calls} model calls", {"max_model_calls": calls})
        )
    return found


async def _place_options(conn: Connection, request: RunRequest, option: _Option) -> list[DecisionOption]:
    criteria = request.criteria
    if "place" not in criteria.asked():
        return []
    options: list[DecisionOption] = []
    if criteria.zip and criteria.radius_miles is not None:
        radius = min(500.0, criteria.radius_miles * 2)
        options.append(
            option(DecisionAction.EXPAND_LOCATION, f"widen the radius to {radius:g} miles", radius_miles=radius)
        )
    counts = await option_yields.states_elsewhere(conn, request.run_id, [vendor.value for vendor in criteria.pms])
    if criteria.states and (criteria.cities or criteria.zip):
        text = f"take all of {', '.join(criteria.states)} instead of the cities"
        inside = sum(count for state, count in counts if state in criteria.states)
        options.append(option(DecisionAction.EXPAND_LOCATION, text, inside or None, whole_state=True))
    elsewhere = [item for item in counts if item[0] not in criteria.states]
    for state, count in elsewhere[:_CHOICES_MAX]:
        # A state takes the place of what was narrower: said, since the list is another one then.
        narrower = criteria.cities or ((f"ZIP {criteria.zip}",) if criteria.zip else ())
        around = zip_place(criteria.zip) if criteria.zip and not criteria.states else None
        whole = list(dict.fromkeys(code for code in (*criteria.states, around and around.state, state) if code))
        if narrower:
            text = f"take all of {', '.join(whole)} instead of {', '.join(narrower)}"
            count = sum(number for code, number in counts if code in whole)
        else:
            text = f"add {state}"
        options.append(option(DecisionAction.EXPAND_LOCATION, text, count, states=[state]))
    if not options:
        options.append(
            option(DecisionAction.EXPAND_LOCATION, "add a state of your choice", states=["<two-letter code>"])
        )
    return options


async def _pms_options(conn: Connection, request: RunRequest, option: _Option) -> list[DecisionOption]:
    if not request.criteria.pms:
        return []
    excluded = set(request.criteria.pms_exclude)
    vendors = [item for item in await option_yields.other_vendors(conn, request.run_id) if item[0] not in excluded]
    options = [
        option(DecisionAction.LOOSEN_PMS, f"also take companies that run {vendor}", count, pms=[vendor])
        for vendor, count in vendors[:_CHOICES_MAX]
    ]
    turned_away = await option_yields.count_by_reason(conn, request.run_id)
    count = turned_away.get("pms_not_met", 0) + turned_away.get("pms_unknown", 0)
    return [*options, option(DecisionAction.LOOSEN_PMS, "make the software a soft criterion", count, pms_soft=True)]


async def _units_options(conn: Connection, request: RunRequest, gap: int, option: _Option) -> list[DecisionOption]:
    minimum = request.criteria.units_min
    if minimum is None:
        return []
    below = [units for units in await option_yields.units_below(conn, request.run_id) if units < minimum]
    if not below:
        return []
    enough = below[min(gap, len(below)) - 1]
    count = sum(units >= enough for units in below)
    return [option(DecisionAction.LOWER_UNITS, f"lower the minimum to {enough} units", count, units_min=enough)]


async def _unknown_options(conn: Connection, request: RunRequest, option: _Option) -> list[DecisionOption]:
    turned_away = await option_yields.count_by_reason(conn, request.run_id)
    return [
        option(
            DecisionAction.ACCEPT_UNKNOWN,
            f"accept companies of which {key} is unknown",
            turned_away[f"{key}_unknown"],
            criteria=[key],
        )
        for key in CRITERION_KEYS
        if turned_away.get(f"{key}_unknown") and key not in request.criteria.unknown_accepted
    ]
