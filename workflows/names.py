"""Names that several processes must spell alike: task queues, search attributes, handlers. A typo would make a second,
silent queue."""

from temporalio.common import SearchAttributeKey

TASK_QUEUE = "pm-pipeline"
AGENT_TASK_QUEUE = "pm-pipeline-agents"  # activities that pay a model: capacity and rate are set apart

# Keywords only: SQL visibility has ten of them and three Bools. Nothing personal may stand in them.
STATUS = SearchAttributeKey.for_keyword("LeadListStatus")
STAGE = SearchAttributeKey.for_keyword("LeadListStage")
PMS = SearchAttributeKey.for_keyword("LeadListPms")
STATE = SearchAttributeKey.for_keyword("LeadListState")
SEARCH_ATTRIBUTES = (STATUS, STAGE, PMS, STATE)

SIGNAL_DECISION = "resolve_decision"
UPDATE_DECISION = "submit_decision"
QUERY_PROGRESS = "progress"
