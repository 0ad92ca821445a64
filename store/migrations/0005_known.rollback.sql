DROP TABLE known_contacts, known_companies;
