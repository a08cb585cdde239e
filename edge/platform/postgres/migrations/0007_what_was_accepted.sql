-- Which sites are commissioned, as their gateways say it in their statuses.

CREATE VIEW city.acceptance AS
SELECT split_part(s.branch, '/', -2) AS site, s.gw, a.said ->> 'state' AS state,
    CASE WHEN a.said ->> 'number' ~ '^[0-9]{1,9}$' THEN (a.said ->> 'number')::integer END AS sheet,
    a.said ->> 'by' AS signed_by, a.said ->> 'at' AS signed_at,
    a.said ->> 'sheet_sha256' AS sheet_sha256, a.said -> 'stale' AS stale,
    s.state AS gateway_state, s.published AS heard
FROM kerbstone.gateway_status AS s
CROSS JOIN LATERAL (
    SELECT CASE jsonb_typeof(s.body -> 'acceptance')
        WHEN 'object' THEN s.body -> 'acceptance' ELSE '{}' END AS said
) AS a;
COMMENT ON VIEW city.acceptance IS 'Whether each site is commissioned, as its gateway told it last.';
COMMENT ON COLUMN city.acceptance.state IS
    'none, open, accepted, reservations or stale; null: an older version, which does not tell.';
COMMENT ON COLUMN city.acceptance.signed_at IS 'As text; null: its clock was not set.';
COMMENT ON COLUMN city.acceptance.sheet_sha256 IS
    'Of the sheet; `kerbstone commission verify --told` compares a copy with it.';
COMMENT ON COLUMN city.acceptance.stale IS 'Steps that would be other ones now.';
