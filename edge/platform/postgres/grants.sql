-- What each of the three roles may do, where the server has them; deploy/city/roles.sql makes them.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'kerbstone_sink') THEN
        GRANT USAGE ON SCHEMA kerbstone TO kerbstone_sink;
        GRANT SELECT ON ALL TABLES IN SCHEMA kerbstone TO kerbstone_sink;
        GRANT INSERT ON gateway, branch, ledger, record, conflict, refused, tally TO kerbstone_sink;
        GRANT UPDATE (got, covered) ON ledger TO kerbstone_sink;
        GRANT UPDATE (wall_from, wall_to, tq, wall) ON record TO kerbstone_sink;
        GRANT UPDATE (kept, size, more) ON tally TO kerbstone_sink;
        GRANT INSERT ON source, point_list, lane, bay, device, event, health, lane_sum, doubt
            TO kerbstone_sink;
        GRANT UPDATE (wall_from, wall_to) ON lane, bay, device, event, health TO kerbstone_sink;
        GRANT INSERT, UPDATE ON gateway_status, gateway_meta TO kerbstone_sink;
        GRANT UPDATE ON lane_sum TO kerbstone_sink;
        GRANT INSERT, UPDATE ON proof, proof_day TO kerbstone_sink;
        GRANT INSERT, DELETE ON redated TO kerbstone_sink;
        GRANT UPDATE (since, until) ON doubt TO kerbstone_sink;
        GRANT EXECUTE ON FUNCTION open_day TO kerbstone_sink;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'kerbstone_archiver') THEN
        GRANT USAGE ON SCHEMA kerbstone TO kerbstone_archiver;
        GRANT SELECT ON ALL TABLES IN SCHEMA kerbstone TO kerbstone_archiver;
        GRANT INSERT, DELETE ON record_archive, lane_archive, bay_archive, device_archive,
            event_archive, health_archive TO kerbstone_archiver;
        GRANT EXECUTE ON FUNCTION hold_day, empty_day, drop_empty TO kerbstone_archiver;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'kerbstone_reader') THEN
        GRANT USAGE ON SCHEMA kerbstone, city TO kerbstone_reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA kerbstone, city TO kerbstone_reader;
        ALTER DEFAULT PRIVILEGES IN SCHEMA kerbstone GRANT SELECT ON TABLES TO kerbstone_reader;
    END IF;
END $$;
