-- Old days: a pack of rows for each 1,000 records, and a row of arrays for each source and day. No
-- references: they would lock rows of the ledger against sinks. Rows of a day that is removed leave
-- room which autovacuum gives to the next days.

CREATE TABLE record_archive (
    ledger integer NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    arrived date NOT NULL,
    records integer NOT NULL,
    size integer NOT NULL,
    numbers int8multirange NOT NULL,
    pack bytea NOT NULL,
    PRIMARY KEY (ledger, first)
);
ALTER TABLE record_archive ALTER COLUMN pack SET STORAGE EXTERNAL;  -- it is compressed already
CREATE INDEX record_archive_arrived ON record_archive (arrived);
COMMENT ON TABLE record_archive IS 'Records of old days, in the order of their numbers.';
COMMENT ON COLUMN record_archive.arrived IS 'UTC day on which they came.';
COMMENT ON COLUMN record_archive.last IS 'Less than 100,000 beyond the first.';
COMMENT ON COLUMN record_archive.size IS 'Bytes of the pack before it was compressed.';
COMMENT ON COLUMN record_archive.pack IS
    'All columns of `record`, as COPY writes them in binary, without head and end; zstd.';

-- LANE_archive and LANE_archived, and so on: the columns of a table by kind as arrays, and as rows
CREATE FUNCTION make_archive(kind text, arrays text[], types text[], plain text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    name text := kind || '_archive';
    each text;
BEGIN
    EXECUTE format('CREATE TABLE %I (day date, arrived date NOT NULL, ledger integer NOT NULL,'
        ' source integer NOT NULL, first bigint NOT NULL, last bigint NOT NULL, %s)', name,
        concat_ws(', ', plain || ' integer NOT NULL', (
            SELECT string_agg(format('%I %s[] NOT NULL', c, t), ', ')
            FROM unnest(arrays, types) AS n (c, t))));
    FOREACH each IN ARRAY arrays LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET COMPRESSION lz4', name, each);
    END LOOP;
    EXECUTE format('CREATE INDEX %I ON %I (source, day)', name || '_source', name);
    EXECUTE format('CREATE INDEX %I ON %I (ledger, first)', name || '_ledger', name);
    EXECUTE format('CREATE INDEX %I ON %I (arrived)', name || '_arrived', name);
    EXECUTE format('COMMENT ON TABLE %I IS %L', name, format('Old days of `%s`: a row for each'
        ' source, day and row of the ledger, its columns as arrays.', kind));
    EXECUTE format('COMMENT ON COLUMN %I.day IS %L', name,
        'UTC day in which the windows begin; null: not known.');
    EXECUTE format('COMMENT ON COLUMN %I.arrived IS %L', name, 'UTC day on which they came.');
    EXECUTE format('COMMENT ON COLUMN %I.first IS %L', name, 'The smallest number in `seq`.');
    EXECUTE format('CREATE VIEW %I AS SELECT a.day, a.arrived, a.ledger, a.source, a.first, a.last,'
        ' %s%s FROM %I AS a CROSS JOIN LATERAL unnest(%s) AS r (%s)', kind || '_archived',
        coalesce('a.' || plain || ', ', ''),
        (SELECT string_agg(format('r.%I', c), ', ') FROM unnest(arrays) AS c), name,
        (SELECT string_agg(format('a.%I', c), ', ') FROM unnest(arrays) AS c),
        (SELECT string_agg(format('%I', c), ', ') FROM unnest(arrays) AS c));
END $$;

SELECT make_archive(c.relname, a.names, a.types, NULL)
FROM pg_class AS c CROSS JOIN LATERAL (
    SELECT array_agg(attname::text ORDER BY attnum) AS names,
        array_agg(format_type(atttypid, atttypmod) ORDER BY attnum) AS types
    FROM pg_attribute
    WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
    AND attname NOT IN ('ledger', 'source')
) AS a
WHERE c.relnamespace = 'kerbstone'::regnamespace
AND c.relname IN ('lane', 'bay', 'event', 'health') AND c.relkind = 'p';
-- of a device each point of each window: arrays of arrays cannot be null
SELECT make_archive('device',
    ARRAY['received', 'wall_from', 'wall_to', 'seq', 'covered_ms', 'merged', 'place', 'mean', 'low',
        'high', 'n', 'reading', 'delta', 'flaw'],
    ARRAY['timestamptz', 'timestamptz', 'timestamptz', 'bigint', 'integer', 'boolean', 'smallint',
        'double precision', 'real', 'real', 'integer', 'double precision', 'double precision',
        'text'], 'points');
COMMENT ON COLUMN device_archive.place IS 'Of the point in its list of points, from 1.';
DROP FUNCTION make_archive;
CREATE INDEX event_archive_day ON event_archive (day);

-- Partitions belong to the owner: these three are all that the archiver may do to them. It locks in
-- the order in which sinks do, first `record`, and no row of the ledger: so neither waits in a
-- circle. Writers to that day wait, readers and all other days do not.
CREATE FUNCTION day_tables(day date) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT array_agg(format('%I.%I', 'kerbstone', c.relname) ORDER BY p.place)
    FROM unnest(ARRAY['record', 'lane', 'bay', 'device', 'event', 'health'])
        WITH ORDINALITY AS p (parent, place)
    JOIN pg_catalog.pg_class AS c ON c.relname = p.parent || '_' || to_char(day, 'YYYYMMDD')
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = 'kerbstone'
$$;
COMMENT ON FUNCTION day_tables IS 'The partitions of a UTC day, in the order of locks.';

CREATE FUNCTION hold_day(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = kerbstone, pg_temp AS $$
DECLARE
    name text;
BEGIN
    PERFORM pg_advisory_xact_lock(7234017283807667303);  -- one archiver after the other
    FOREACH name IN ARRAY coalesce(day_tables(day), '{}') LOOP
        EXECUTE 'LOCK TABLE ' || name || ' IN SHARE MODE';
    END LOOP;
END $$;
COMMENT ON FUNCTION hold_day IS 'Until the end of the transaction nobody writes into that day.';

CREATE FUNCTION empty_day(day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = kerbstone, pg_temp AS $$
BEGIN
    EXECUTE 'TRUNCATE ' || array_to_string(day_tables(day), ', ');
    RETURN true;
END $$;
COMMENT ON FUNCTION empty_day IS 'What is packed is in the archive: in the same transaction.';

CREATE FUNCTION drop_empty(parent text, day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = kerbstone, pg_temp AS $$
DECLARE
    name text := parent || '_' || to_char(day, 'YYYYMMDD');
    used boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(7234017283807667303);
    EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', parent);
    IF NOT coalesce(format('kerbstone.%I', name) = ANY (day_tables(day)), false) THEN
        RETURN true;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %I)', name) INTO used;
    IF NOT used THEN
        EXECUTE format('DROP TABLE %I', name);
    END IF;
    RETURN NOT used;
END $$;
COMMENT ON FUNCTION drop_empty IS
    'Drops the partition of one table for one day if it has no rows; whether there is none now.';
REVOKE ALL ON FUNCTION hold_day, empty_day, drop_empty FROM PUBLIC;
