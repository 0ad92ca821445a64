-- Accounts at software vendors, as imported lists give them: where to look, never proof. Every column but the key is as the list
-- has it; a company found by a seed goes the whole way of any other.
CREATE TABLE pms_subdomains (
    vendor       text NOT NULL,                   -- canonical name (domain/company/pms_vendors.py)
    slug         text NOT NULL,                   -- the account's name in the vendor's portal addresses
    portal_url   text,
    company_name text,
    city         text,
    state        text,                            -- two-letter code
    website      text,                            -- address that the list gives as the company's own site
    phone        text,                            -- E.164
    source       text NOT NULL,                   -- name of the file
    imported_at  timestamptz NOT NULL DEFAULT now(),   -- when it was first listed, or last changed
    PRIMARY KEY (vendor, slug)
);
CREATE INDEX ON pms_subdomains (vendor, state);
