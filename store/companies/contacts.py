"""People at a run's companies. Table ``contact_candidates``."""

from collections.abc import Sequence
from uuid import UUID

from domain.contact.contact_selection import quality_score
from domain.contact.person import Person, person_key
from domain.contact.title_levels import rank_title
from store.database import Connection, as_json, fetch_column


async def save_people(conn: Connection, run_id: UUID, company_id: UUID, people: Sequence[Person]) -> None:
    """Insert or update a company's people. Column ``email`` is empty if mail to the address cannot arrive."""
    await conn.cursor().executemany(
        """
        INSERT INTO contact_candidates
            (run_id, company_id, person_key, full_name, title, level, email, email_status, phone, linkedin_url,
             department, seniority, quality_score, personalization_notes, person)
        VALUES (%(run_id)s, %(company_id)s, %(key)s, %(full_name)s, %(title)s, %(level)s, %(email)s, %(email_status)s,
                %(phone)s, %(linkedin_url)s, %(department)s, %(seniority)s, %(quality)s, %(note)s, %(person)s)
        ON CONFLICT (company_id, person_key) DO UPDATE
        SET full_name = excluded.full_name, title = excluded.title, level = excluded.level, email = excluded.email,
            email_status = excluded.email_status, phone = excluded.phone, linkedin_url = excluded.linkedin_url,
            department = excluded.department, seniority = excluded.seniority,
            quality_score = excluded.quality_score, personalization_notes = excluded.personalization_notes,
            person = excluded.person
        """,
        [_row(run_id, company_id, person) for person in people],
    )


def _row(run_id: UUID, company_id: UUID, person: Person) -> dict[str, object]:
    rank = rank_title(person.title)
    return {
        **person.model_dump(include={"full_name", "title", "email_status", "phone", "linkedin_url", "note"}),
        "run_id": run_id,
        "company_id": company_id,
        "key": person_key(person.full_name),
        "level": int(rank.level),
        "email": person.deliverable_email,
        "department": rank.department,
        "seniority": rank.seniority,
        "quality": quality_score(person),
        "person": as_json(person),
    }


async def list_people(conn: Connection, company_id: UUID) -> list[Person]:
    query = "SELECT person FROM contact_candidates WHERE company_id = %s ORDER BY level, quality_score DESC, full_name"
    return [Person.model_validate(person) for person in await fetch_column(conn, query, (company_id,))]


async def set_selection(conn: Connection, company_id: UUID, selected: Sequence[Person]) -> None:
    """Select these people for delivery, in order, and deselect the company's others."""
    keys = [person_key(person.full_name) for person in selected]
    await conn.execute(
        "UPDATE contact_candidates SET rank = array_position(%s::text[], person_key) WHERE company_id = %s",
        (keys, company_id),
    )
