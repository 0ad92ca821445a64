"""Decides whether to ask a second research question, because unread pages of the site may give a missing fact."""

from collections.abc import Mapping

from pydantic import BaseModel

from agents.loop import FollowUp, FollowUpRule
from agents.roles.company_research import ResearchOutput
from agents.site_pages import RESEARCH_PAGES, unread_pages
from domain.company.criteria_verdicts import VerdictValue, combine_verdicts, grade_for_criteria, judge_criteria
from domain.company.facts import CompanyFacts, CompanyType
from domain.company.status import CompanyStatus
from domain.request.criteria import Criteria, CriterionKey
from grounding.company_facts import proven_facts
from store.tools.tool_results import ToolResult

_PAGES_MAX = 3
# The answer fields that can settle a criterion. Code settles other criteria before it asks a model.
_FIELDS_OF: dict[CriterionKey, tuple[str, ...]] = {"units": ("units", "listings"), "company_types": ("company_type",)}


def follow_up_rule(criteria: Criteria, known: CompanyFacts, company_domains: frozenset[str]) -> FollowUpRule:
    def follow_up(answer: BaseModel, results: Mapping[str, ToolResult]) -> FollowUp | None:
        if not isinstance(answer, ResearchOutput):
            return None
        facts, _ = proven_facts(known, answer, results, company_domains)
        fields = missing_fields(criteria, facts)
        pages = unread_pages(results, RESEARCH_PAGES, company_domains, _PAGES_MAX) if fields else []
        if not pages:
            return None
        question = (
            f"Not yet proven: {', '.join(fields)}. The pages just opened are the rest of the site that may say so. Answer "
            "once more in the required schema: give what they state, with its quote; what they do not state stays null."
        )
        return FollowUp(question, fields, tuple(pages))

    return follow_up


def missing_fields(criteria: Criteria, facts: CompanyFacts) -> tuple[str, ...]:
    """Return the answer fields that could settle unknown criteria. Empty for a rejected company."""
    icp = grade_for_criteria(criteria, facts)
    verdicts = judge_criteria(criteria, facts, icp)
    # A low tier does not reject here, because missing facts may raise it.
    settled = tuple(verdict for verdict in verdicts if verdict.criterion != "icp_tier_min")
    if combine_verdicts(criteria, settled, icp, final=False).status is CompanyStatus.REJECTED:
        return ()
    unknown = [verdict.criterion for verdict in verdicts if verdict.value is VerdictValue.UNKNOWN]
    is_tier_too_low = any(
        verdict.criterion == "icp_tier_min" and verdict.value is VerdictValue.NOT_MET for verdict in verdicts
    )
    if is_tier_too_low and facts.units is None:
        unknown.append("units")
    fields = [field for criterion in unknown for field in _FIELDS_OF.get(criterion, ())]
    if facts.company_type is CompanyType.UNKNOWN:
        fields.append("company_type")  # the ICP fit needs it
    if facts.company_type is CompanyType.BROKERAGE and facts.manages_for_owners is None:
        fields.append("manages_for_owners")  # "brokerage only" needs it
    return tuple(dict.fromkeys(fields))
