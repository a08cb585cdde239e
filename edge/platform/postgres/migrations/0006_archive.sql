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

-- A view is what it was, and the same of the archive: two halves, each with an order of joins of
-- its own, so that a source and a day are found by the index of either.
CREATE FUNCTION on_both(view text, kind text, query text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE OR REPLACE VIEW %s AS %s UNION ALL %s', view,
        replace(replace(query, '<rows>', kind), '<day>', '(r.wall_from AT TIME ZONE ''UTC'')::date'),
        replace(replace(query, '<rows>', kind || '_archived'), '<day>', 'r.day'));
    EXECUTE format('COMMENT ON COLUMN %s.day IS %L', view,
        'UTC day in which it begins; ask for it, and an archived day is found at once.');
END $$;

CREATE FUNCTION trusted_lanes(view text, kind text, day text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'CREATE OR REPLACE VIEW ' || view || ' AS ' || replace(replace($view$
        SELECT r.received, r.wall_from, r.wall_to, l.epoch, r.seq, r.source, r.covered_ms,
            CASE WHEN NOT d.counts AND r.volume IS NOT NULL THEN r.watched_ms ELSE 0 END
                AS counted_ms,
            CASE WHEN NOT d.counts THEN r.volume END AS volume,
            CASE WHEN NOT d.counts AND r.occupied_ms IS NOT NULL THEN r.watched_ms ELSE 0 END
                AS watched_ms,
            CASE WHEN NOT d.counts THEN r.occupied_ms END AS occupied_ms,
            CASE WHEN NOT d.pairs AND r.speed_sum IS NOT NULL THEN r.speed_n END AS speed_n,
            CASE WHEN NOT d.pairs THEN r.speed_sum END AS speed_sum,
            CASE WHEN NOT d.pairs THEN r.speed_n END AS pace_n,
            CASE WHEN NOT d.pairs THEN r.pace_sum END AS pace_sum,
            CASE WHEN NOT d.pairs THEN r.speed_p85 END AS speed_p85,
            CASE WHEN NOT d.pairs THEN r.length_m END AS length_m,
            CASE WHEN NOT d.counts THEN r.headway_s END AS headway_s,
            CASE WHEN NOT d.counts THEN r.gap_s END AS gap_s,
            CASE WHEN NOT d.counts THEN r.queue_ms END AS queue_ms,
            CASE WHEN NOT d.counts THEN r.stopped END AS stopped,
            r.p_congested, coalesce(r.health, 'ok') AS health, r.counted_by, r.flaw,
            d.why AS doubted, <day> AS day
        FROM <rows> AS r
        JOIN ledger AS l ON l.id = r.ledger
        CROSS JOIN LATERAL (
            SELECT coalesce(bool_or(CASE d.part
                    WHEN 'lead' THEN r.counted_by IS DISTINCT FROM 'trail'
                    WHEN 'trail' THEN r.counted_by IS NOT NULL
                    ELSE true END), false) AS counts,
                count(*) > 0 AS pairs,
                string_agg(DISTINCT concat_ws(' ', d.part, d.why), ', ') AS why
            FROM doubt AS d
            WHERE d.source = r.source AND d.until > r.wall_from AND d.since < r.wall_to
        ) AS d
        WHERE r.merged OR NOT l.covered @> r.seq
    $view$, '<rows>', kind), '<day>', day);
END $$;
SELECT trusted_lanes('lane_trusted', 'lane', '(r.wall_from AT TIME ZONE ''UTC'')::date');
SELECT trusted_lanes('lane_trusted_archived', 'lane_archived', 'r.day');
DROP FUNCTION trusted_lanes;

SELECT on_both('city.lane_minute', 'lane_trusted', $view$
    SELECT f.site, f.gw, f.source AS lane, r.wall_from AS "from", r.wall_to AS "to",
        r.covered_ms / 1000.0::float8 AS covered_s,
        r.volume,
        r.occupied_ms::float8 / nullif(r.watched_ms, 0) AS occupancy,
        r.speed_sum / 1000.0::float8 / nullif(r.speed_n, 0) AS speed_kmh,
        3.6e9::float8 * r.pace_n / nullif(r.pace_sum, 0) AS space_mean_speed_kmh,
        r.speed_p85 AS speed_p85_kmh,
        r.pace_n AS speed_n,
        r.pace_n > 0 AND r.speed_sum IS NULL AS speed_estimated,
        r.length_m, r.headway_s, r.gap_s,
        r.queue_ms / 1000.0::float8 AS queue_s,
        r.stopped, r.p_congested, r.health, r.counted_by, r.flaw, r.doubted,
        r.received, r.epoch, r.seq, r.day
    FROM <rows> AS r JOIN filed AS f ON f.id = r.source
$view$);

CREATE OR REPLACE VIEW city.lane_hour AS
SELECT f.site, f.gw, f.source AS lane, h.hour, t.windows,
    t.covered_ms / 1000.0::float8 AS covered_s,
    t.counted_ms / 1000.0::float8 AS counted_s,
    CASE WHEN t.counted_ms > 0 THEN t.volume END AS volume,
    t.occupied_ms::float8 / nullif(t.watched_ms, 0) AS occupancy,
    t.speed_sum / 1000.0::float8 / nullif(t.speed_n, 0) AS speed_kmh,
    (3.6e9 * t.pace_n / nullif(t.pace_sum, 0))::float8 AS space_mean_speed_kmh,
    t.pace_n AS speed_n, t.queue_ms / 1000.0::float8 AS queue_s, t.stopped, t.doubted,
    t.watched_ms, t.occupied_ms, t.speed_n AS pair_speed_n, t.speed_sum, t.pace_sum
FROM kerbstone.lane_sum AS h
JOIN kerbstone.filed AS f ON f.id = h.source
CROSS JOIN LATERAL (
    SELECT EXISTS (
        SELECT FROM kerbstone.doubt AS d
        WHERE d.source = h.source AND d.until > h.hour AND d.since < h.last
    ) AS yes
) AS doubt
CROSS JOIN LATERAL (
    SELECT h.windows, h.covered_ms, h.counted_ms, h.volume, h.watched_ms, h.occupied_ms,
        h.speed_n, h.speed_sum, h.pace_n, h.pace_sum, h.queue_ms, h.stopped, NULL AS doubted
    WHERE NOT doubt.yes
    UNION ALL
    SELECT count(*), sum(r.covered_ms), sum(r.counted_ms), coalesce(sum(r.volume), 0),
        sum(r.watched_ms), coalesce(sum(r.occupied_ms), 0), coalesce(sum(r.speed_n), 0),
        coalesce(sum(r.speed_sum), 0), coalesce(sum(r.pace_n), 0), coalesce(sum(r.pace_sum), 0),
        coalesce(sum(r.queue_ms), 0), coalesce(sum(r.stopped), 0), string_agg(DISTINCT r.doubted, ', ')
    FROM (
        SELECT * FROM kerbstone.lane_trusted
        UNION ALL SELECT * FROM kerbstone.lane_trusted_archived
    ) AS r
    WHERE doubt.yes AND r.source = h.source
    AND r.wall_from >= h.hour AND r.wall_from < h.hour + interval '1 hour'
    AND r.day = (h.hour AT TIME ZONE 'UTC')::date  -- the same again, for the index of the archive
    HAVING count(*) > 0
) AS t
WHERE t.windows > 0;

SELECT on_both('city.bay_minute', 'bay', $view$
    SELECT f.site, f.gw, f.source AS bay, r.kind, r.wall_from AS "from", r.wall_to AS "to",
        r.covered_ms / 1000.0::float8 AS covered_s, r.occupied_ms / 1000.0::float8 AS occupied_s,
        r.arrivals, r.departures, r.overstays, r.occupied, r.since_s,
        coalesce(r.health, 'ok') AS health, r.received, l.epoch, r.seq, <day> AS day
    FROM <rows> AS r
    JOIN ledger AS l ON l.id = r.ledger
    JOIN filed AS f ON f.id = r.source
    WHERE r.merged OR NOT l.covered @> r.seq
$view$);

CREATE OR REPLACE VIEW device_point AS
SELECT f.site, f.gw, f.source AS device, l.stream, p.point, r.wall_from AS "from",
    r.wall_to AS "to", r.covered_ms / 1000.0::float8 AS covered_s, p.mean, p.low AS min,
    p.high AS max, p.n, p.reading, p.delta, p.flaw, r.received, l.epoch, r.seq,
    (r.wall_from AT TIME ZONE 'UTC')::date AS day
FROM device AS r
JOIN ledger AS l ON l.id = r.ledger
JOIN filed AS f ON f.id = r.source
JOIN point_list AS names ON names.id = r.points
CROSS JOIN LATERAL unnest(names.names, r.mean, r.low, r.high, r.n, r.reading, r.delta, r.flaw)
    AS p (point, mean, low, high, n, reading, delta, flaw)
WHERE r.merged OR NOT l.covered @> r.seq;

CREATE VIEW device_point_archived AS
SELECT f.site, f.gw, f.source AS device, l.stream, names.names[r.place] AS point,
    r.wall_from AS "from", r.wall_to AS "to", r.covered_ms / 1000.0::float8 AS covered_s, r.mean,
    r.low AS min, r.high AS max, r.n, r.reading, r.delta, r.flaw, r.received, l.epoch, r.seq, r.day
FROM device_archived AS r
JOIN ledger AS l ON l.id = r.ledger
JOIN filed AS f ON f.id = r.source
JOIN point_list AS names ON names.id = r.points
WHERE r.merged OR NOT l.covered @> r.seq;

SELECT on_both('city.air_minute', 'device_point', $view$
    SELECT site, gw, device, point, "from", "to", covered_s, mean, min, max, n, flaw, received,
        epoch, seq, r.day
    FROM <rows> AS r WHERE stream = 'air'
$view$);

SELECT on_both('city.energy_reading', 'device_point', $view$
    SELECT site, gw, device, point, "from", "to", covered_s, mean, min, max, n, reading, delta,
        flaw, received, epoch, seq, r.day
    FROM <rows> AS r WHERE stream = 'energy'
$view$);

SELECT on_both('city.event', 'event', $view$
    SELECT f.site, f.gw, f.source, r.wall_from AS "at", r.kind, r.state, r.detail, r.part,
        r.since_s, r.message AS text, r.received, l.epoch, r.seq, <day> AS day
    FROM <rows> AS r
    JOIN ledger AS l ON l.id = r.ledger
    JOIN filed AS f ON f.id = r.source
$view$);

SELECT on_both('city.gateway_health', 'health', $view$
    SELECT f.site, f.gw, r.wall_to AS "at", r.uptime_s, r.clock_synchronised, r.connected,
        r.in_memory, r.read_only, r.queue_rows, r.queue_age_s, r.dropped, r.connection_failures,
        r.reads, r.errors, r.cpu_temperature, r.memory_available AS memory_available_bytes,
        r.disk_free AS disk_free_bytes, r.flash_written_mb_day, r.card_life_years, r.reboot_cause,
        r.received, l.epoch, r.seq, <day> AS day
    FROM <rows> AS r
    JOIN ledger AS l ON l.id = r.ledger
    JOIN filed AS f ON f.id = r.source
$view$);
DROP FUNCTION on_both;

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
