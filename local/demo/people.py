"""Teams with titles and contact data, and page elements that look like people but are not contacts."""

from __future__ import annotations

import unicodedata
from random import Random

from local.demo.entities import EmailForm, PartnerQuote, Person
from local.demo.names import SURNAMES, words

# Titles per decision-maker level (docs/domain.md, "Contact").
TITLES: dict[int | None, tuple[str, ...]] = {
    1: (
        "Owner", "Co-Owner", "Broker/Owner", "Owner & Broker", "Designated Broker", "Managing Broker", "President",
        "Principal", "CEO", "COO", "Managing Partner", "Chief Executive Officer",
    ),
    2: ("Director of Property Management", "VP of Operations", "Associate Broker", "Portfolio Manager"),
    3: ("Director of Operations", "Operations Manager"),
    4: ("Property Manager", "Senior Property Manager", "Leasing Manager"),
    5: ("Office Manager", "Business Development Manager"),
    6: ("Maintenance Manager", "Maintenance Coordinator", "Maintenance Supervisor"),
    None: ("Leasing Agent", "Bookkeeper", "Administrative Assistant", "Inspector", "Receptionist"),
}  # fmt: skip
GIVEN_NAMES = words(
    "James Maria Robert Linda Michael Patricia David Jennifer Carlos Aisha Daniel Sofia Kevin Priya Brian Mei Travis "
    "Latoya Derek Hannah Marcus Olivia Ethan Grace Victor Naomi Samuel Teresa Jorge Felicia Raymond Bethany Omar "
    "Claire Nathan Yolanda Curtis Ingrid Wesley Paula Andre Monica Gregory Simone Tyler Rachel Dwayne Leah Ernesto "
    "Joanna Calvin Vanessa Trent Angela Louis Camille Darnell Kristen Hector Melissa Bradley Renee Stuart Adriana"
)
_MARKED_NAMES = (
    "Shannon O'Brien", "Patrick O'Neal", "Renée D'Angelo", "Anne-Marie St. Clair", "William Tate Jr.",
    "Robert Hale III", "Luz de la Cruz", "José Núñez", "Siobhán McAllister", "Karen Wu-Delgado", "Thomas Burke Sr.",
    "Zoë van der Berg",
)  # fmt: skip
OTHER_SCRIPT_NAMES = (
    "李伟 (Wei Li)", "Олена Коваленко", "محمد الحسن", "김민준", "Ελένη Παπαδοπούλου", "佐藤 健 (Ken Sato)",
)  # fmt: skip
FORMULA_PERSON_NAMES = ("-Jo Ann Reyes", "+Max Ortega", "@Lex Carter", "=Ty Monroe")
PLACEHOLDER_NAMES = ("Name not published", "Team Member", "Coming soon", "Your Name Here", "Staff Member")
FREE_MAIL_HOSTS = ("gmail.com", "yahoo.com", "outlook.com")
_PARTNERS = (
    ("Whitfield Roofing", "whitfieldroofing.example"), ("Bluewave Plumbing", "bluewaveplumbing.example"),
    ("Sparrow Title Co.", "sparrowtitle.example"), ("Keller Flooring", "kellerflooring.example"),
    ("Hometown Lending", "hometownlending.example"), ("Orchard HVAC", "orchardhvac.example"),
)  # fmt: skip
_BIOS = (
    "{first} has worked in rental housing since {year} and handles the hard calls personally.",
    "Before joining us, {first} spent {n} years in hospitality. Weekends are for the kids' soccer games.",
    "{first} holds a real estate license and a soft spot for rescue dogs.",
    "A native of the area, {first} knows every street we manage on.",
    "{first} keeps owners informed and leases signed. Ask about the {n}-page move-in checklist.",
    "After {n} years as an investor, {first} understands what owners worry about.",
    "",
)


class TeamMaker:
    """Makes the people of one company from the given generator."""

    def __init__(self, rng: Random, domain: str | None) -> None:
        self._rng = rng
        self._domain = domain or "unpublished.example"
        self._taken: set[str] = set()

    def decision_maker(self, *, reachable: bool | None = None) -> Person:
        """Make a person of level 1-5. `reachable` decides whether the site shows contact data; None draws it."""
        level = self._rng.choices((1, 2, 3, 4, 5), weights=(50, 16, 10, 18, 6))[0]
        return self.person(level, reachable=reachable)

    def colleague(self, *, reachable: bool | None = None) -> Person:
        """Make another team member: manager, office, maintenance or staff without a level."""
        level = self._rng.choices((1, 2, 3, 4, 5, 6, None), weights=(8, 10, 10, 30, 12, 12, 18))[0]
        return self.person(level, reachable=reachable)

    def person(
        self,
        level: int | None,
        *,
        reachable: bool | None = None,
        name: str | None = None,
        form: EmailForm | None = None,
        linkedin_only: bool = False,
        free_mail: bool = False,
    ) -> Person:
        """Make a person with a name that is unique in the team. Keyword arguments replace random choices."""
        rng = self._rng
        name = name or self._name()
        self._taken.add(name)
        draw = rng.random()
        if reachable is True:
            draw *= 0.8
        mail = reachable is not False and not linkedin_only and (draw < 0.6 or form is not None or free_mail)
        linked = reachable is not False and (linkedin_only or (0.6 <= draw < 0.8) or (mail and rng.random() < 0.25))
        year, n = rng.randrange(1995, 2022), rng.randrange(4, 24)
        return Person(
            full_name=name,
            title=rng.choice(TITLES[level]),
            level=level,
            email=self._email(name, free_mail) if mail else None,
            email_form=(form or ("mailto" if rng.random() < 0.85 else "text")) if mail else None,
            linkedin_url=f"https://www.linkedin.com/in/{'-'.join(_ascii_words(name))}-{rng.getrandbits(24):06x}"
            if linked
            else None,
            bio=rng.choice(_BIOS).format(first=name.split()[0], year=year, n=n),
        )

    def placeholder(self) -> Person:
        """Make a team card that belongs to no person. Its mailbox belongs to a role."""
        role = self._rng.choice(("info", "office", "leasing"))
        mail = f"{role}@{self._domain}" if self._rng.random() < 0.5 else None
        return Person(
            full_name=self._rng.choice(PLACEHOLDER_NAMES),
            title=self._rng.choice(TITLES[4] + TITLES[1]),
            level=None,
            email=mail,
            email_form="mailto" if mail else None,
        )

    def partner_quote(self) -> PartnerQuote:
        """Make a testimonial with name, title and address of a person at another company."""
        firm, domain = self._rng.choice(_PARTNERS)
        name = self._name()
        self._taken.add(name)
        return PartnerQuote(
            full_name=name,
            title=self._rng.choice(("Owner", "President", "CEO")),
            organisation=firm,
            email=f"{_ascii_words(name)[0]}@{domain}",
            text=self._rng.choice(
                (
                    "They pay on time and answer the phone. We have worked side by side for years.",
                    "The best management company we do jobs for, and we know all of them.",
                )
            ),
        )

    def _name(self) -> str:
        while True:
            if self._rng.random() < 0.06:
                name = self._rng.choice(_MARKED_NAMES)
            else:
                name = f"{self._rng.choice(GIVEN_NAMES)} {self._rng.choice(SURNAMES)}"
            if name not in self._taken:
                return name

    def _email(self, name: str, free_mail: bool) -> str:
        first, last = _ascii_words(name)[0], _ascii_words(name)[-1]
        local = self._rng.choice((first, f"{first}.{last}", f"{first[0]}{last}", f"{first}{last[0]}"))
        if free_mail:
            return f"{first}.{last}{self._rng.randrange(10, 99)}@{self._rng.choice(FREE_MAIL_HOSTS)}"
        taken = f"@{local}"
        if taken in self._taken:
            local = f"{first}.{last}"
            taken = f"@{local}"
        while taken in self._taken:
            local += "2"
            taken = f"@{local}"
        self._taken.add(taken)
        return f"{local}@{self._domain}"


def _ascii_words(name: str) -> list[str]:
    """Return the lower-case ASCII words of a name, for addresses. A name in another script gets a substitute."""
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    parts = ["".join(c for c in w.casefold() if c.isalpha()) for w in folded.replace("'", "").replace("-", " ").split()]
    parts = [w for w in parts if w and w not in ("jr", "sr", "iii")]
    return parts if len(parts) > 1 else [*(parts or ["hello"]), f"k{len(name)}"]
