"""People of a run's companies. Table ``contact_candidates``."""

from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from domain.contact.contact_selection import quality_score
from domain.contact.person import Person, person_key
from domain.contact.title_levels import rank_title
from store.database import Connection


class ContactRow(BaseModel):
    """A person as stored; ``rank`` 1 is delivered first, None is not delivered."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    contact_id: UUID
    person: Person
    rank: int | None


async def save_people(conn: Connection, run_id: UUID, company_id: UUID, people: list[Person]) -> None:
    """Store people of a company; a person found again is updated. The column ``email`` holds what can be delivered."""
    for person in people:
        rank = rank_title(person.title)
        await conn.execute(
            """
            INSERT INTO contact_candidates
                (run_id, company_id, person_key, full_name, title, level, email, email_status, phone, linkedin_url,
                 department, seniority, quality_score, personalization_notes, person)
            VALUES (%(run_id)s, %(company_id)s, %(key)s, %(name)s, %(title)s, %(level)s, %(email)s, %(email_status)s,
                    %(phone)s, %(linkedin)s, %(department)s, %(seniority)s, %(quality)s, %(note)s, %(person)s)
            ON CONFLICT (company_id, person_key) DO UPDATE
            SET full_name = excluded.full_name, title = excluded.title, level = excluded.level, email = excluded.email,
                email_status = excluded.email_status, phone = excluded.phone, linkedin_url = excluded.linkedin_url,
                department = excluded.department, seniority = excluded.seniority,
                quality_score = excluded.quality_score, personalization_notes = excluded.personalization_notes,
                person = excluded.person
            """,
            {
                "run_id": run_id,
                "company_id": company_id,
                "key": person_key(person.full_name),
                "name": person.full_name,
                "title": person.title,
                "level": int(rank.level),
                "email": person.deliverable_email,
                "email_status": person.email_status,
                "phone": person.phone,
                "linkedin": person.linkedin_url,
                "department": rank.department,
                "seniority": rank.seniority,
                "quality": quality_score(person),
                "note": person.note,
                "person": Jsonb(person.model_dump(mode="json")),
            },
        )


async def list_people(conn: Connection, company_id: UUID) -> list[Person]:
    """All people stored for a company, best level first."""
    cursor = await conn.execute(
        "SELECT person FROM contact_candidates WHERE company_id = %s ORDER BY level, quality_score DESC, full_name",
        (company_id,),
    )
    return [Person.model_validate(row["person"]) for row in await cursor.fetchall()]


async def set_selection(conn: Connection, company_id: UUID, selected: list[Person]) -> None:
    """Mark who is delivered, in order; everyone else of the company is not."""
    keys = [person_key(person.full_name) for person in selected]
    await conn.execute(
        "UPDATE contact_candidates SET rank = array_position(%s::text[], person_key) WHERE company_id = %s",
        (keys, company_id),
    )
