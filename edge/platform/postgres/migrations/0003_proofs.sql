-- What manifests have proved, so that an audit need not read their records again. `facts` is what
-- the audit would make of them (edge/platform/streamproof.py), in chapters of some 32 kB.
-- No references: they would lock rows of the ledger against sinks, in another order than theirs.

CREATE TABLE proof (
    ledger integer NOT NULL,
    chapter integer NOT NULL,
    numbers int8multirange NOT NULL,
    seen int8multirange NOT NULL,
    waiting boolean NOT NULL,
    facts bytea NOT NULL,
    PRIMARY KEY (ledger, chapter)
);
COMMENT ON TABLE proof IS 'What manifests have proved of each row of the ledger.';
COMMENT ON COLUMN proof.numbers IS 'Records whose manifest held; of manifests, those that held.';
COMMENT ON COLUMN proof.seen IS 'Manifests that were looked at, whatever came of it.';
COMMENT ON COLUMN proof.waiting IS 'Some of them wait for records, or for the times of these.';

CREATE TABLE proof_day (
    ledger integer NOT NULL,
    day text NOT NULL,
    records bigint NOT NULL,
    numbers bigint NOT NULL,
    gaps bigint NOT NULL,
    drops bigint NOT NULL,
    proved bigint NOT NULL,
    covered bytea NOT NULL,
    PRIMARY KEY (ledger, day)
);
COMMENT ON TABLE proof_day IS 'What was counted of proved records, by UTC day; or `unknown`.';
COMMENT ON COLUMN proof_day.covered IS 'Seconds that each source has covered, as MessagePack.';

CREATE TABLE redated (
    ledger integer NOT NULL,
    seq bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (ledger, seq, id)
);
COMMENT ON TABLE redated IS 'Records of which better times came, since their manifest was proved.';
COMMENT ON COLUMN redated.id IS
    'A row for each better time: who has proved one of them does not take away the next.';
