CREATE TABLE proof (
    ledger integer PRIMARY KEY REFERENCES ledger,
    numbers int8multirange NOT NULL,
    facts bytea NOT NULL
);
