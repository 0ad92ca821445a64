"""Columns that may name a person or company. A test fails if a new column is in neither list."""

from typing import NamedTuple


class TextTable(NamedTuple):
    """A table whose rows may mention a person or company.

    Attributes:
        key: primary key.
        columns: text columns to redact.
        is_deleted: delete a row that mentions the subject, instead of redacting it.
    """

    key: tuple[str, ...]
    columns: tuple[str, ...]
    is_deleted: bool = False


REDACTED = {
    "agent_turns": TextTable(("run_id", "subject", "role", "input_hash", "turn"), ("task", "output")),
    "audit_events": TextTable(("event_id",), ("actor", "detail")),
    "company_candidates": TextTable(
        ("company_id",),
        (
            *("candidate_key", "name", "url", "phone", "discovery_source", "evidence", "website", "aliases"),
            *("reason_detail", "accepted_by"),
        ),
    ),
    "company_identities": TextTable(("run_id", "kind", "value"), ("value",), is_deleted=True),
    "company_research": TextTable(("company_id",), ("facts", "verdicts", "icp", "pages")),
    "contact_candidates": TextTable(
        ("contact_id",),
        ("full_name", "title", "email", "phone", "linkedin_url", "personalization_notes", "person"),
    ),
    "known_companies": TextTable(
        ("domain",), ("name", "website", "aliases", "facts", "pages", "icp", "discovery_source", "evidence", "sources")
    ),
    "known_contacts": TextTable(("domain", "person_key"), ("person",)),
    "pms_subdomains": TextTable(("vendor", "slug"), ("portal_url", "company_name", "website", "phone", "source")),
    "run_artifacts": TextTable(("run_id", "kind"), ("content",)),
    "runs": TextTable(("run_id",), ("criteria", "criteria_asked", "notify_email", "decision", "notes")),
    "search_task_pages": TextTable(("run_id", "url"), ("url",), is_deleted=True),
    "search_tasks": TextTable(("task_id",), ("query",)),
    "tool_results": TextTable(("result_id",), ("args", "payload", "text")),
    "pages": TextTable(("content_hash",), ("body",)),
}
_ID, _CODE, _PLACE = "an id or hash", "one of a few fixed words, or numbers", "a place"
_OWN, _KEEPS_OUT = "identifies the row's own company or person; such rows are erased by key", "blocks the subject"
NOT_REDACTED = {
    "agent_turns": {"subject": _ID, "role": _CODE, "input_hash": _ID, "model": _CODE, "status": _CODE},
    "audit_events": {"event_key": _ID, "event": _CODE},
    "company_candidates": {"city": _PLACE, "state": _PLACE, "domain": _OWN, "status": _CODE, "reason": _CODE},
    "company_identities": {"kind": _CODE},
    "company_research": {"dropped": _CODE, "contacts_dropped": _CODE},
    "contact_candidates": {"person_key": _OWN, "email_status": _CODE, "department": _CODE, "seniority": _CODE},
    "forgotten": {"digest": _KEEPS_OUT, "kind": _CODE},
    "known_companies": {"domain": _OWN, "missing_fields": _CODE},
    "known_contacts": {"domain": _OWN, "person_key": _OWN},
    "notifications": {"state_key": _ID},
    "pages": {"content_hash": _ID},
    "pms_subdomains": {"vendor": _CODE, "slug": _OWN, "city": _PLACE, "state": _PLACE},
    "rate_limits": {"name": _OWN},
    "run_artifacts": {"kind": _CODE, "name": _ID},
    "runs": {"workflow_id": _ID, "limits": _CODE, "on_decision": _CODE, "stage": _CODE, "status": _CODE},
    "search_tasks": {
        "unique_hash": _ID,
        "kind": _CODE,
        "city": _PLACE,
        "state": _PLACE,
        "status": _CODE,
        "question_hash": _ID,
    },
    "suppression_domains": dict.fromkeys(("entry_key", "domain", "name_key", "state", "reason", "source"), _KEEPS_OUT),
    "tool_calls_in_flight": {"tool": _CODE, "args_hash": _ID},
    "tool_results": {
        "result_id": _ID,
        "tool": _CODE,
        "args_hash": _ID,
        "status": _CODE,
        "reason": _CODE,
        "page_hash": _ID,
    },
}
