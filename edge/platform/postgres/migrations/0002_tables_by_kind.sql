-- What records say, as columns: written in the transaction that stores the records. Each row leads
-- back to its record by (received, ledger, seq). The views of the schema `city` are for people.

CREATE TABLE source (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    branch integer NOT NULL REFERENCES branch,
    source text NOT NULL,
    UNIQUE (branch, source)
);
COMMENT ON TABLE source IS 'Lanes, bays, devices and parts of gateways, by which records are filed.';

CREATE TABLE point_list (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source integer NOT NULL REFERENCES source,
    digest bytea NOT NULL,
    names text[] NOT NULL,
    UNIQUE (source, digest)
);
COMMENT ON TABLE point_list IS 'The points of a device, in the order of the arrays in `device`.';
COMMENT ON COLUMN point_list.digest IS '12 bytes of BLAKE2b over the names.';

CREATE TABLE lane (
    received timestamptz NOT NULL,
    wall_from timestamptz,
    wall_to timestamptz,
    seq bigint NOT NULL,
    pace_sum bigint,
    ledger integer NOT NULL,
    source integer NOT NULL,
    covered_ms integer NOT NULL,
    watched_ms integer NOT NULL,
    volume integer,
    occupied_ms integer,
    speed_n integer,
    speed_sum integer,
    speed_p85 real,
    length_m real,
    headway_s real,
    gap_s real,
    queue_ms integer,
    stopped integer,
    p_congested real,
    merged boolean NOT NULL,
    counted_by text,
    health text,
    flaw text
) PARTITION BY RANGE (received);
CREATE INDEX lane_source ON lane (source, wall_from);
CREATE INDEX lane_received ON lane USING brin (received);
COMMENT ON TABLE lane IS 'One lane with loops, one window; bodies of the stream traffic.';
COMMENT ON COLUMN lane.wall_from IS 'Begin of the window; null: the gateway did not know the time.';
COMMENT ON COLUMN lane.pace_sum IS 'Sum of paces in ns/m; of one loop where speed_sum is null.';
COMMENT ON COLUMN lane.covered_ms IS 'Observed part of the window, in ms.';
COMMENT ON COLUMN lane.watched_ms IS 'The part in which not all values were null, in ms.';
COMMENT ON COLUMN lane.occupied_ms IS 'For how long the loop was occupied, in ms.';
COMMENT ON COLUMN lane.speed_n IS 'Vehicles with a speed.';
COMMENT ON COLUMN lane.speed_sum IS 'Sum of their speeds over a pair of loops, in m/h.';
COMMENT ON COLUMN lane.speed_p85 IS '85th percentile, in km/h.';
COMMENT ON COLUMN lane.length_m IS 'Mean length of vehicles, in m.';
COMMENT ON COLUMN lane.headway_s IS 'Mean time from front to front, in s.';
COMMENT ON COLUMN lane.gap_s IS 'Mean time from rear to front, in s.';
COMMENT ON COLUMN lane.queue_ms IS 'For how long a queue stood on the loop, in ms.';
COMMENT ON COLUMN lane.stopped IS 'Vehicles that stood on the loop.';
COMMENT ON COLUMN lane.p_congested IS 'Probability that the approach is congested.';
COMMENT ON COLUMN lane.merged IS 'It stands for several numbers, and is the one that counts.';
COMMENT ON COLUMN lane.counted_by IS 'trail or both, where not only the lead loop has counted.';
COMMENT ON COLUMN lane.health IS 'State of its loops; null: ok.';
COMMENT ON COLUMN lane.flaw IS 'What most values that are not good have; null: all are good.';

CREATE TABLE lane_sum (
    source integer NOT NULL,
    hour timestamptz NOT NULL,
    last timestamptz NOT NULL,
    windows bigint NOT NULL,
    covered_ms bigint NOT NULL,
    counted_ms bigint NOT NULL,
    volume bigint NOT NULL,
    watched_ms bigint NOT NULL,
    occupied_ms bigint NOT NULL,
    speed_n bigint NOT NULL,
    speed_sum bigint NOT NULL,
    pace_n bigint NOT NULL,
    pace_sum numeric NOT NULL,
    queue_ms bigint NOT NULL,
    stopped bigint NOT NULL,
    PRIMARY KEY (source, hour)
) WITH (fillfactor = 50);  -- each commit changes rows here
COMMENT ON TABLE lane_sum IS 'Sums of `lane` by the hour in which windows begin, doubted ones too.';
COMMENT ON COLUMN lane_sum.last IS 'End of the last of its windows, or later.';
COMMENT ON COLUMN lane_sum.counted_ms IS 'Observed time in which vehicles could be counted, in ms.';

CREATE TABLE doubt (
    ledger integer NOT NULL,
    seq bigint NOT NULL,
    source integer NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    part text,
    why text NOT NULL,
    PRIMARY KEY (ledger, seq)
);
CREATE INDEX doubt_source ON doubt (source, until);
COMMENT ON TABLE doubt IS 'Spans before events `sensor_fault` in which the fault may have begun.';
COMMENT ON COLUMN doubt.part IS 'Loop, lead or trail; null: all of the source.';

CREATE TABLE bay (
    received timestamptz NOT NULL,
    wall_from timestamptz,
    wall_to timestamptz,
    seq bigint NOT NULL,
    ledger integer NOT NULL,
    source integer NOT NULL,
    covered_ms integer NOT NULL,
    occupied_ms integer,
    arrivals integer,
    departures integer,
    overstays integer,
    since_s real,
    occupied boolean,
    merged boolean NOT NULL,
    kind text NOT NULL,
    health text
) PARTITION BY RANGE (received);
CREATE INDEX bay_source ON bay (source, wall_from);
CREATE INDEX bay_received ON bay USING brin (received);
COMMENT ON TABLE bay IS 'One bay, one window.';

CREATE TABLE device (
    received timestamptz NOT NULL,
    wall_from timestamptz,
    wall_to timestamptz,
    seq bigint NOT NULL,
    ledger integer NOT NULL,
    source integer NOT NULL,
    points integer NOT NULL,
    covered_ms integer NOT NULL,
    merged boolean NOT NULL,
    mean double precision[],
    low real[],
    high real[],
    n integer[],
    reading double precision[],
    delta double precision[],
    flaw text[]
) PARTITION BY RANGE (received);
CREATE INDEX device_source ON device (source, wall_from);
CREATE INDEX device_received ON device USING brin (received);
COMMENT ON TABLE device IS 'One device with points, one window; air, energy and loop cards.';
COMMENT ON COLUMN device.points IS 'Names of the points, in the order of the arrays.';
COMMENT ON COLUMN device.reading IS 'Of registers: the last good value.';
COMMENT ON COLUMN device.delta IS 'Of registers: growth in the window.';

CREATE TABLE event (
    received timestamptz NOT NULL,
    wall_from timestamptz,
    wall_to timestamptz,
    seq bigint NOT NULL,
    ledger integer NOT NULL,
    source integer NOT NULL,
    since_s real,
    kind text NOT NULL,
    state text,
    detail text,
    part text,
    message text NOT NULL
) PARTITION BY RANGE (received);
CREATE INDEX event_time ON event (wall_from);
CREATE INDEX event_received ON event USING brin (received);
COMMENT ON TABLE event IS 'Events; what else an event says is in its record.';

CREATE TABLE health (
    received timestamptz NOT NULL,
    wall_from timestamptz,
    wall_to timestamptz,
    seq bigint NOT NULL,
    queue_rows bigint,
    dropped bigint,
    connection_failures bigint,
    reads bigint,
    errors bigint,
    memory_available bigint,
    disk_free bigint,
    ledger integer NOT NULL,
    source integer NOT NULL,
    uptime_s double precision,
    queue_age_s real,
    cpu_temperature real,
    flash_written_mb_day real,
    card_life_years real,
    clock_synchronised boolean,
    connected boolean,
    in_memory boolean,
    read_only boolean,
    reboot_cause text
) PARTITION BY RANGE (received);
CREATE INDEX health_source ON health (source, wall_from);
CREATE INDEX health_received ON health USING brin (received);
COMMENT ON TABLE health IS 'State of gateways, every quarter of an hour.';
