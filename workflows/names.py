"""Names shared by several processes: task queues, search attributes and message handlers."""

from temporalio.common import SearchAttributeKey

TASK_QUEUE = "pm-pipeline"
AGENT_TASK_QUEUE = "pm-pipeline-agents"  # activities that call a model, with their own concurrency limit

# All are keywords: SQL visibility allows ten keywords but only three Bools. Never store personal data in them.
STATUS = SearchAttributeKey.for_keyword("LeadListStatus")
STAGE = SearchAttributeKey.for_keyword("LeadListStage")
PMS = SearchAttributeKey.for_keyword("LeadListPms")
STATE = SearchAttributeKey.for_keyword("LeadListState")
SEARCH_ATTRIBUTES = (STATUS, STAGE, PMS, STATE)

SIGNAL_DECISION = "resolve_decision"
UPDATE_DECISION = "submit_decision"
QUERY_PROGRESS = "progress"
