-- The last status of each gateway, and the history of its description: the broker keeps retained
-- messages for no subscriber of all gateways.

CREATE TABLE gateway_status (
    gw text PRIMARY KEY,
    branch text NOT NULL,
    state text NOT NULL,
    why text,
    published timestamptz NOT NULL,
    since timestamptz NOT NULL,
    epoch bigint,
    boot bigint,
    tq text,
    issues jsonb NOT NULL,
    body jsonb NOT NULL
);
COMMENT ON TABLE gateway_status IS 'The newest status of each gateway.';
COMMENT ON COLUMN gateway_status.published IS 'When the broker got it.';
COMMENT ON COLUMN gateway_status.since IS 'Since when it is in this state, in this epoch.';
COMMENT ON COLUMN gateway_status.issues IS 'Of the last status that was online, as is `body`.';

CREATE TABLE gateway_meta (
    gw text NOT NULL,
    published timestamptz NOT NULL,
    branch text NOT NULL,
    site_name text,
    latitude double precision,
    longitude double precision,
    zone text,
    software text,
    image text,
    board text,
    body jsonb NOT NULL,
    PRIMARY KEY (gw, published)
);
COMMENT ON TABLE gateway_meta IS 'Descriptions of gateways, a row for each change.';

CREATE VIEW city.gateway AS
SELECT split_part(coalesce(m.branch, s.branch), '/', -2) AS site, g.gw, m.site_name, m.latitude,
    m.longitude, m.zone, m.software, m.image, m.board, s.state, s.since, s.why,
    s.published AS heard, s.epoch, s.boot, s.tq, jsonb_array_length(s.issues) AS issues
FROM (
    SELECT gw FROM kerbstone.gateway
    UNION SELECT gw FROM kerbstone.gateway_status
    UNION SELECT gw FROM kerbstone.gateway_meta
) AS g
LEFT JOIN kerbstone.gateway_status AS s USING (gw)
LEFT JOIN LATERAL (
    SELECT * FROM kerbstone.gateway_meta AS m WHERE m.gw = g.gw ORDER BY published DESC LIMIT 1
) AS m ON true;
COMMENT ON VIEW city.gateway IS 'Each gateway, as it last described itself.';
COMMENT ON COLUMN city.gateway.latitude IS 'WGS 84, in deg; north is positive.';
COMMENT ON COLUMN city.gateway.longitude IS 'WGS 84, in deg; east is positive.';
COMMENT ON COLUMN city.gateway.state IS 'online or offline; null: it has said nothing.';
COMMENT ON COLUMN city.gateway.since IS 'Since when it is in this state, in this epoch.';
COMMENT ON COLUMN city.gateway.heard IS 'When the broker got the last status.';
COMMENT ON COLUMN city.gateway.issues IS 'How many open issues it told last.';

CREATE VIEW city.gateway_history AS
SELECT split_part(branch, '/', -2) AS site, gw, published AS since, site_name, latitude, longitude,
    zone, software, image, board, body
FROM kerbstone.gateway_meta;
COMMENT ON VIEW city.gateway_history IS 'How each gateway has described itself, from when on.';

CREATE VIEW city.open_issue AS
SELECT split_part(s.branch, '/', -2) AS site, s.gw, i ->> 'kind' AS kind, i ->> 'about' AS about,
    i ->> 'name' AS name, i ->> 'severity' AS severity, (i ->> 'since')::timestamptz AS since,
    i ->> 'cause' AS cause, i ->> 'remedy' AS remedy, s.state, s.published AS heard
FROM kerbstone.gateway_status AS s CROSS JOIN LATERAL jsonb_array_elements(s.issues) AS i;
COMMENT ON VIEW city.open_issue IS 'What needs a person, as each gateway told it last.';
COMMENT ON COLUMN city.open_issue.about IS 'Device, loop, line, file or model; empty: the gateway.';
COMMENT ON COLUMN city.open_issue.state IS 'of the gateway; offline: it may have more to tell.';

CREATE FUNCTION members(found jsonb) RETURNS TABLE (key text, value jsonb)
LANGUAGE sql IMMUTABLE AS $$
    SELECT * FROM jsonb_each(CASE jsonb_typeof(found) WHEN 'object' THEN found ELSE '{}' END)
$$;
COMMENT ON FUNCTION members IS 'Of an object; of what a gateway has sent in its place, none.';

CREATE VIEW latest_meta AS
SELECT DISTINCT ON (gw) * FROM gateway_meta ORDER BY gw, published DESC;

CREATE VIEW city.point AS
SELECT m.gw, d.key AS device, p.key AS point, p.value ->> 'quantity' AS quantity,
    p.value ->> 'unit' AS unit, p.value ->> 'kind' AS kind, d.value ->> 'driver' AS driver
FROM kerbstone.latest_meta AS m
CROSS JOIN LATERAL kerbstone.members(m.body -> 'devices') AS d
CROSS JOIN LATERAL kerbstone.members(d.value -> 'points') AS p;
COMMENT ON VIEW city.point IS 'Points of devices: quantity and unit of their values.';

CREATE VIEW city.display_name AS
SELECT m.gw, n.key AS source, n.value #>> '{}' AS name
FROM kerbstone.latest_meta AS m CROSS JOIN LATERAL kerbstone.members(m.body -> 'names') AS n;
COMMENT ON VIEW city.display_name IS 'What people call lanes, bays and devices.';
