-- Views for people, in a schema of their own. Times are UTC moments; a day is a UTC day.

CREATE SCHEMA IF NOT EXISTS city;
COMMENT ON SCHEMA city IS 'Kerbstone: what gateways have measured, for people. SET search_path = city';

CREATE VIEW filed AS
SELECT s.id, b.site, b.gw, s.source FROM source AS s JOIN branch AS b ON b.id = s.branch;
COMMENT ON VIEW filed IS 'Site, gateway and name of each source.';

-- Most views are the same query twice: of rows, and of the archive. Each half has an order of joins
-- of its own, so that a source and a day are found by the index of either.
CREATE FUNCTION on_both(view text, kind text, query text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE VIEW %s AS %s UNION ALL %s', view,
        replace(replace(query, '<rows>', kind), '<day>', '(r.wall_from AT TIME ZONE ''UTC'')::date'),
        replace(replace(query, '<rows>', kind || '_archived'), '<day>', 'r.day'));
    EXECUTE format('COMMENT ON COLUMN %s.day IS %L', view,
        'UTC day in which it begins; ask for it, and an archived day is found at once.');
END $$;

CREATE FUNCTION trusted_lanes(view text, kind text, day text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'CREATE VIEW ' || view || ' AS ' || replace(replace($view$
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
COMMENT ON VIEW lane_trusted IS
    'Windows of lanes without those that a merged one stands for, null where they are doubted.';

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
COMMENT ON VIEW city.lane_minute IS
    'Each lane, each window. Null: not measured (`flaw`, `health`), or in doubt (`doubted`).';
COMMENT ON COLUMN city.lane_minute."from" IS 'Begin of the window; null: its time is not known.';
COMMENT ON COLUMN city.lane_minute.covered_s IS 'Observed part of the window, in s.';
COMMENT ON COLUMN city.lane_minute.volume IS 'Vehicles.';
COMMENT ON COLUMN city.lane_minute.occupancy IS 'Share of the watched time, from 0 to 1.';
COMMENT ON COLUMN city.lane_minute.speed_kmh IS 'Mean over vehicles (time-mean speed), in km/h.';
COMMENT ON COLUMN city.lane_minute.space_mean_speed_kmh IS 'Harmonic mean, in km/h.';
COMMENT ON COLUMN city.lane_minute.speed_p85_kmh IS '85th percentile, in km/h.';
COMMENT ON COLUMN city.lane_minute.speed_n IS 'Vehicles with a speed.';
COMMENT ON COLUMN city.lane_minute.speed_estimated IS 'Whether one loop has estimated it.';
COMMENT ON COLUMN city.lane_minute.length_m IS 'Mean length of vehicles, in m.';
COMMENT ON COLUMN city.lane_minute.headway_s IS 'Mean time from front to front, in s.';
COMMENT ON COLUMN city.lane_minute.gap_s IS 'Mean time from rear to front, in s.';
COMMENT ON COLUMN city.lane_minute.queue_s IS 'For how long a queue stood on the loop, in s.';
COMMENT ON COLUMN city.lane_minute.stopped IS 'Vehicles that stood on the loop.';
COMMENT ON COLUMN city.lane_minute.p_congested IS 'Probability that the approach is congested.';
COMMENT ON COLUMN city.lane_minute.flaw IS 'What most values that are not good have.';
COMMENT ON COLUMN city.lane_minute.doubted IS
    'Loop and fault of a later event that may have begun before this window ended.';

-- hours in which nothing is doubted come from their sums, others from their windows: so they are
-- right in whatever order a fault and what it doubts arrive
CREATE VIEW city.lane_hour AS
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
COMMENT ON VIEW city.lane_hour IS
    'Sums and means of each lane and hour, over windows that begin in it and are not doubted.';
COMMENT ON COLUMN city.lane_hour.hour IS 'Begin of the hour.';
COMMENT ON COLUMN city.lane_hour.covered_s IS 'Observed time, in s; 3600: all of the hour.';
COMMENT ON COLUMN city.lane_hour.counted_s IS
    'Observed time in which vehicles could be counted and are not doubted, in s.';
COMMENT ON COLUMN city.lane_hour.volume IS 'Vehicles in the counted time.';
COMMENT ON COLUMN city.lane_hour.occupancy IS 'Share of the watched time, from 0 to 1.';
COMMENT ON COLUMN city.lane_hour.speed_kmh IS 'Mean over vehicles (time-mean speed), in km/h.';
COMMENT ON COLUMN city.lane_hour.space_mean_speed_kmh IS 'Harmonic mean, in km/h.';
COMMENT ON COLUMN city.lane_hour.speed_n IS 'Vehicles with a speed.';
COMMENT ON COLUMN city.lane_hour.queue_s IS 'For how long a queue stood on the loop, in s.';
COMMENT ON COLUMN city.lane_hour.stopped IS 'Vehicles that stood on the loop.';
COMMENT ON COLUMN city.lane_hour.watched_ms IS 'Time of which `occupancy` is the share, in ms.';
COMMENT ON COLUMN city.lane_hour.occupied_ms IS 'For how long the loop was occupied, in ms.';
COMMENT ON COLUMN city.lane_hour.pair_speed_n IS 'Vehicles with a speed over a pair of loops.';
COMMENT ON COLUMN city.lane_hour.speed_sum IS 'Sum of these speeds, in m/h.';
COMMENT ON COLUMN city.lane_hour.pace_sum IS 'Sum of the paces of `speed_n` vehicles, in ns/m.';
COMMENT ON COLUMN city.lane_hour.doubted IS 'Why windows of this hour are left out; null: none is.';

CREATE VIEW city.lane_day AS
SELECT site, gw, lane, (hour AT TIME ZONE 'UTC')::date AS day, sum(windows) AS windows,
    sum(covered_s) AS covered_s, sum(counted_s) AS counted_s, sum(volume) AS volume,
    sum(occupied_ms)::float8 / nullif(sum(watched_ms), 0)::float8 AS occupancy,
    sum(speed_sum)::float8 / 1000 / nullif(sum(pair_speed_n), 0)::float8 AS speed_kmh,
    (3.6e9 * sum(speed_n) / nullif(sum(pace_sum), 0))::float8 AS space_mean_speed_kmh,
    sum(speed_n) AS speed_n, sum(queue_s) AS queue_s, sum(stopped) AS stopped,
    string_agg(DISTINCT doubted, ', ') AS doubted
FROM city.lane_hour GROUP BY 1, 2, 3, 4;
COMMENT ON VIEW city.lane_day IS 'The same of each UTC day; units as in `lane_hour`.';

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
COMMENT ON VIEW city.bay_minute IS 'Each bay, each window. Null: its contact could not tell.';
COMMENT ON COLUMN city.bay_minute.covered_s IS 'Observed part of the window, in s.';
COMMENT ON COLUMN city.bay_minute.occupied_s IS 'For how long the bay was occupied, in s.';
COMMENT ON COLUMN city.bay_minute.since_s IS 'For how long it has been occupied at the end, in s.';

CREATE VIEW device_point AS
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
COMMENT ON VIEW city.air_minute IS
    'Air and weather: each point, each window, in the unit that `point` of this schema has.';
COMMENT ON COLUMN city.air_minute.mean IS 'Mean of the values that count; null: none.';
COMMENT ON COLUMN city.air_minute.min IS 'Smallest value, to 7 digits.';
COMMENT ON COLUMN city.air_minute.max IS 'Largest value, to 7 digits.';
COMMENT ON COLUMN city.air_minute.n IS 'Number of values.';
COMMENT ON COLUMN city.air_minute.flaw IS 'What most values that are not good have.';

SELECT on_both('city.energy_reading', 'device_point', $view$
    SELECT site, gw, device, point, "from", "to", covered_s, mean, min, max, n, reading, delta,
        flaw, received, epoch, seq, r.day
    FROM <rows> AS r WHERE stream = 'energy'
$view$);
COMMENT ON VIEW city.energy_reading IS
    'Meters: each point and register, each window, in the unit that `point` of this schema has.';
COMMENT ON COLUMN city.energy_reading.mean IS 'Mean; null: a register, or no value.';
COMMENT ON COLUMN city.energy_reading.min IS 'Smallest value, to 7 digits.';
COMMENT ON COLUMN city.energy_reading.max IS 'Largest value, to 7 digits.';
COMMENT ON COLUMN city.energy_reading.reading IS 'Of a register: the last good value.';
COMMENT ON COLUMN city.energy_reading.delta IS 'Of a register: growth since the value before.';
COMMENT ON COLUMN city.energy_reading.flaw IS 'What most values that are not good have.';

SELECT on_both('city.event', 'event', $view$
    SELECT f.site, f.gw, f.source, r.wall_from AS "at", r.kind, r.state, r.detail, r.part,
        r.since_s, r.message AS text, r.received, l.epoch, r.seq, <day> AS day
    FROM <rows> AS r
    JOIN ledger AS l ON l.id = r.ledger
    JOIN filed AS f ON f.id = r.source
$view$);
COMMENT ON VIEW city.event IS 'Events of sites and gateways.';
COMMENT ON COLUMN city.event.at IS 'When; null: the gateway did not know the time.';
COMMENT ON COLUMN city.event.detail IS 'Fault, cause, condition, step or reason, where it has one.';
COMMENT ON COLUMN city.event.since_s IS 'How long before it may have begun, in s.';

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
COMMENT ON VIEW city.gateway_health IS
    'State of gateways, every quarter of an hour; counters run since the start of the daemon.';
COMMENT ON COLUMN city.gateway_health.uptime_s IS 'Since the daemon has started, in s.';
COMMENT ON COLUMN city.gateway_health.queue_rows IS 'Records that waited in the outbox.';
COMMENT ON COLUMN city.gateway_health.queue_age_s IS 'Age of the oldest of them, in s.';
COMMENT ON COLUMN city.gateway_health.dropped IS 'Records that were declared lost.';
COMMENT ON COLUMN city.gateway_health.reads IS 'Reads of all devices.';
COMMENT ON COLUMN city.gateway_health.errors IS 'Reads that failed.';
COMMENT ON COLUMN city.gateway_health.cpu_temperature IS 'Hottest zone of the board, in Cel.';
COMMENT ON COLUMN city.gateway_health.flash_written_mb_day IS 'Written to its disk, in MB a day.';
COMMENT ON COLUMN city.gateway_health.card_life_years IS 'How long a new card lasts so, in a.';

DROP FUNCTION on_both;

CREATE VIEW city.completeness AS
SELECT g.gw, l.epoch, l.stream, l.opened, g.joined_epoch, m.highest, m.numbers, m.covered, m.missing,
    m.gaps::text AS gaps, m.proved
FROM kerbstone.ledger AS l JOIN kerbstone.gateway AS g ON g.id = l.gateway
CROSS JOIN LATERAL (SELECT upper(l.got + l.covered) - 1 AS top) AS t
CROSS JOIN LATERAL (SELECT int8multirange(int8range(1, t.top + 1)) - l.got - l.covered AS gaps) AS o
CROSS JOIN LATERAL (
    SELECT t.top AS highest, o.gaps,
        (SELECT coalesce(sum(upper(n) - lower(n)), 0) FROM unnest(l.got) AS n) AS numbers,
        (SELECT coalesce(sum(upper(n) - lower(n)), 0) FROM unnest(l.covered - l.got) AS n)
            AS covered,
        (SELECT coalesce(sum(upper(n) - lower(n)), 0) FROM unnest(o.gaps) AS n) AS missing,
        (SELECT coalesce(sum(upper(n) - lower(n)), 0)
            FROM kerbstone.proof AS p CROSS JOIN unnest(p.numbers) AS n WHERE p.ledger = l.id)
            AS proved
) AS m
WHERE t.top IS NOT NULL;
COMMENT ON VIEW city.completeness IS
    'Numbers of each gateway, epoch and stream; `kerbstone audit` says what a gap means.';
COMMENT ON COLUMN city.completeness.opened IS 'When the first of its records came.';
COMMENT ON COLUMN city.completeness.highest IS 'The highest number that has come.';
COMMENT ON COLUMN city.completeness.numbers IS 'How many records are stored.';
COMMENT ON COLUMN city.completeness.covered IS 'Numbers for which merged records stand.';
COMMENT ON COLUMN city.completeness.missing IS 'Numbers below it that have not come, or were dropped.';
COMMENT ON COLUMN city.completeness.gaps IS 'These numbers; ranges end before their second number.';
COMMENT ON COLUMN city.completeness.proved IS 'How many records a manifest has proved.';
