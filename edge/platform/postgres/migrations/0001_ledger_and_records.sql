-- The ledger says which numbers have come; the records are in partitions by the day of arrival.

CREATE TABLE store (
    name text NOT NULL
);
INSERT INTO store VALUES (left(replace(gen_random_uuid()::text, '-', ''), 16));
COMMENT ON TABLE store IS 'One row: the random name of this store.';

CREATE TABLE gateway (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gw text NOT NULL UNIQUE,
    joined_epoch bigint NOT NULL
);
COMMENT ON TABLE gateway IS 'Each gateway that was ever heard.';
COMMENT ON COLUMN gateway.joined_epoch IS 'Epoch of the first record that came of it.';

CREATE TABLE ledger (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gateway integer NOT NULL REFERENCES gateway,
    epoch bigint NOT NULL,
    stream text NOT NULL,
    got int8multirange NOT NULL DEFAULT '{}',
    covered int8multirange NOT NULL DEFAULT '{}',
    opened timestamptz NOT NULL DEFAULT now(),
    UNIQUE (gateway, epoch, stream)
) WITH (fillfactor = 50);  -- each commit changes rows here: the new version finds room on the page
-- not compressed: a sink bounds them by their size, and writes them with each commit
ALTER TABLE ledger
    ALTER COLUMN got SET STORAGE EXTERNAL, ALTER COLUMN covered SET STORAGE EXTERNAL;
COMMENT ON TABLE ledger IS 'One row for each gateway, epoch and stream: which numbers are stored.';
COMMENT ON COLUMN ledger.got IS 'Numbers of stored records; ranges end before their second number.';
COMMENT ON COLUMN ledger.covered IS 'Numbers for which stored merged records stand.';
COMMENT ON COLUMN ledger.opened IS 'When its first record came.';

CREATE TABLE branch (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    branch text NOT NULL UNIQUE,
    site text GENERATED ALWAYS AS (split_part(branch, '/', -2)) STORED,
    gw text GENERATED ALWAYS AS (split_part(branch, '/', -1)) STORED
);
CREATE INDEX branch_gw ON branch (gw);
COMMENT ON TABLE branch IS 'Beginnings of topics: PREFIX/SITE/GATEWAY.';

CREATE TABLE record (
    seq bigint NOT NULL,
    boot bigint NOT NULL,
    mono_from bigint NOT NULL,
    mono_to bigint NOT NULL,
    wall_from timestamptz,
    wall_to timestamptz,
    received timestamptz NOT NULL,
    ledger integer NOT NULL,
    branch integer NOT NULL,
    encoding smallint NOT NULL,
    tq text NOT NULL,
    source text NOT NULL,
    wall jsonb,
    payload bytea NOT NULL
) PARTITION BY RANGE (received);
-- not unique: a unique index of a partitioned table must hold its day; the ledger's row is what is
-- locked and asked before a record is written
CREATE INDEX record_key ON record (ledger, seq);
CREATE INDEX record_time ON record USING brin (wall_from);
ALTER TABLE record ALTER COLUMN payload SET COMPRESSION lz4;
COMMENT ON TABLE record IS 'The first content under each key, as it came.';
COMMENT ON COLUMN record.seq IS 'Number in its epoch and stream.';
COMMENT ON COLUMN record.boot IS 'Boot of the gateway; monotonic times count from its begin.';
COMMENT ON COLUMN record.mono_from IS 'Begin of what it speaks of, in us of the boot.';
COMMENT ON COLUMN record.mono_to IS 'End of what it speaks of, in us of the boot.';
COMMENT ON COLUMN record.wall_from IS 'Begin as the best clock said it; null: what came is no time.';
COMMENT ON COLUMN record.wall_to IS 'End as the best clock said it; null: what came is no time.';
COMMENT ON COLUMN record.tq IS 'Quality of these times: none, floor, rtc, ntp or nts.';
COMMENT ON COLUMN record.received IS 'When it came, by the clock of the sink.';
COMMENT ON COLUMN record.encoding IS
    '0 not said, 1 record+json, 2 record+msgpack, 3 raw+msgpack, 4 application/json.';
COMMENT ON COLUMN record.wall IS
    'The times as texts [from, to, tq, bounds], where they are not those of the payload.';

CREATE TABLE conflict (
    LIKE record INCLUDING COMMENTS,
    digest bytea NOT NULL,
    PRIMARY KEY (ledger, seq, digest)
);
COMMENT ON TABLE conflict IS 'Other contents under the key of a record, once each.';
COMMENT ON COLUMN conflict.digest IS '12 bytes of BLAKE2b over its content, without the envelope.';

CREATE TABLE refused (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    gw text NOT NULL,
    topic text NOT NULL,
    why text NOT NULL,
    size bigint NOT NULL,
    payload bytea NOT NULL,
    received timestamptz NOT NULL
);
COMMENT ON TABLE refused IS 'Messages that are no records; foreign ones and unreadable ones.';
COMMENT ON COLUMN refused.size IS 'Bytes of its payload, of which not all may be kept.';

CREATE TABLE tally (
    gw text NOT NULL,
    kind text NOT NULL,
    kept bigint NOT NULL,
    size bigint NOT NULL,
    more bigint NOT NULL,
    PRIMARY KEY (gw, kind)
);
COMMENT ON TABLE tally IS 'How many conflicts, refused messages and epochs of a gateway are kept.';
COMMENT ON COLUMN tally.size IS 'Bytes of what is kept.';
COMMENT ON COLUMN tally.more IS 'How many more came, and are not kept.';

-- A sink owns nothing and makes no tables: it may call this. A table that is made first and attached
-- then waits for no reader, and no reader for it; PARTITION OF would wait for all of them.
CREATE FUNCTION open_day(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = kerbstone, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    parent text;
    made text;
BEGIN
    PERFORM pg_advisory_xact_lock(7234017283807667301);  -- and what another one has made is seen
    FOR parent IN
        SELECT relname FROM pg_class WHERE relnamespace = 'kerbstone'::regnamespace AND relkind = 'p'
        ORDER BY 1
    LOOP
        made := parent || '_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN EXISTS (
            SELECT FROM pg_class
            WHERE relnamespace = 'kerbstone'::regnamespace AND relname = made
        );
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL EXCLUDING COMMENTS)', made, parent);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            parent, made, day::timestamptz, (day + 1)::timestamptz);
    END LOOP;
END $$;
COMMENT ON FUNCTION open_day IS
    'Makes the partitions of all tables that have them for what is received on this UTC day.';
REVOKE ALL ON FUNCTION open_day FROM PUBLIC;
