-- Once for a server, by its administrator: psql -d city -f roles.sql
-- A login of its own for each sink and each analyst is a member of one of these:
--   CREATE USER sink1 PASSWORD '...' IN ROLE kerbstone_sink;

-- stores records: it can neither delete nor change what is stored, and makes no tables
CREATE ROLE kerbstone_sink NOLOGIN;
-- packs old days and removes them from the archive: it can delete all that is stored, and change none
CREATE ROLE kerbstone_archiver NOLOGIN;
-- reads all tables and views
CREATE ROLE kerbstone_reader NOLOGIN;
