-- The tables of the log with the arrivals that each takes; NULL where it takes all before, or all after.
CREATE OR REPLACE VIEW log_parts AS
    SELECT CAST(pg_class.relname AS TEXT) AS part,
           CAST(nullif(bounds[1], 'MINVALUE') AS BIGINT) AS begins, CAST(nullif(bounds[2], 'MAXVALUE') AS BIGINT) AS ends
    FROM pg_inherits JOIN pg_class ON pg_class.oid = pg_inherits.inhrelid,
         regexp_match(pg_get_expr(relpartbound, pg_class.oid), 'FROM \(''?([-A-Z0-9]+)''?\) TO \(''?([-A-Z0-9]+)''?\)') AS bounds
    WHERE pg_inherits.inhparent = to_regclass('log');
