-- Functions that SQLite has and PostgreSQL lacks, so that every question is written once. NULL gives NULL, as there.
CREATE OR REPLACE FUNCTION min(bigint, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS 'SELECT least($1, $2)';
CREATE OR REPLACE FUNCTION max(bigint, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS 'SELECT greatest($1, $2)';
CREATE OR REPLACE FUNCTION instr(text, text) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS 'SELECT strpos($1, $2)::bigint';
CREATE OR REPLACE FUNCTION hex(bytea) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS 'SELECT upper(encode($1, ''hex''))';
-- The day of a number of seconds; the second value is always 'unixepoch'.
CREATE OR REPLACE FUNCTION date(bigint, text) RETURNS text LANGUAGE sql STABLE STRICT PARALLEL SAFE
    AS 'SELECT to_char(to_timestamp($1) AT TIME ZONE ''UTC'', ''YYYY-MM-DD'')';
-- The members of a list in JSON. Not STRICT: such a function is planned anew at each call, in the place of being a part of the query.
CREATE OR REPLACE FUNCTION json_each(text) RETURNS TABLE (value text) LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS 'SELECT json_array_elements_text($1::json)';
-- A part of JSON as a text, and as JSON. The sign that a text can't hold is read as another. Texts that boxes wrote may hold
-- what the server can't read at all: no part of them is found then, and the row is kept. What catches an error can't run in
-- several workers at once.
CREATE OR REPLACE FUNCTION json_word(document text, path text[]) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT
    AS $$ BEGIN RETURN replace(document, '\u0000', '\ufffd')::json #>> path; EXCEPTION WHEN data_exception OR program_limit_exceeded THEN RETURN NULL; END $$;
CREATE OR REPLACE FUNCTION json_piece(document text, path text[]) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT
    AS $$ BEGIN RETURN (replace(document, '\u0000', '\ufffd')::json #> path)::text; EXCEPTION WHEN data_exception OR program_limit_exceeded THEN RETURN NULL; END $$;
CREATE OR REPLACE FUNCTION acts_stay() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$;
CREATE OR REPLACE FUNCTION acts_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NOT EXISTS (SELECT 1 FROM pruned WHERE kept = 'acts' AND OLD.at < before) THEN
        RAISE EXCEPTION 'the audit trail is append-only';
    END IF;
    RETURN OLD;
END $$;
-- Locks the log for the transaction where nobody uses it: who waits for the lock keeps everybody after it waiting.
CREATE OR REPLACE FUNCTION log_is_free() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
    LOCK TABLE log IN ACCESS EXCLUSIVE MODE NOWAIT;
    RETURN TRUE;
EXCEPTION WHEN lock_not_available THEN RETURN FALSE;
END $$;
