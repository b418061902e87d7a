-- Fills a central's database on a PostgreSQL server, as scripts/many_plays.py fills one in a file, and its log beside it: 150 boxes,
-- 400 days, 1,888,000 plays, 4 million entries. Central must have made the tables, and must not run.
--     psql postgres://... -v ON_ERROR_STOP=1 -f scripts/many_plays.sql
\set boxes 150
\set days 400
SET synchronous_commit = off;
BEGIN;

-- Every slot of every box: `fate` says what became of it, by the same sums as in the other script.
CREATE TEMP TABLE made AS
SELECT 'loa-' || (box + 1) AS box, box AS number, to_char(current_date - back, 'YYYY-MM-DD') AS day, slot, (slots.place - 1) AS place,
       'thon-' || (box % 40 + 1) AS village, 'Thôn ' || (box % 40 + 1) AS village_title,
       (extract(epoch FROM (current_date - back)::timestamp)::bigint - 25200 + hour * 3600) * 1000000 AS due,
       CASE WHEN (box * 7 + back) % 61 = 0 THEN 'unknown' WHEN (box * 13 + back * 5 + (slots.place - 1)) % 47 = 0 THEN 'missed'
            ELSE 'aired' END AS fate
FROM generate_series(:days, 1, -1) AS back, generate_series(0, :boxes - 1) AS box,
     (VALUES (1, 'sang', 5), (2, 'trua', 11), (3, 'chieu', 17), (4, 'toi', 19)) AS slots (place, slot, hour);
CREATE TEMP TABLE sections AS
SELECT * FROM (VALUES (0, 'thoi-su', 'Thời sự xã'), (1, 'y-te', 'Y tế'), (2, 'phap-luat', 'Pháp luật'), (3, 'nong-nghiep', 'Nông nghiệp'),
    (4, 'van-nghe', 'Văn nghệ'), (5, 'giao-duc', 'Giáo dục'), (6, 'an-ninh', 'An ninh'), (7, 'moi-truong', 'Môi trường'))
    AS sections (place, id, title);

INSERT INTO day_plans VALUES (decode(repeat('00', 32), 'hex'), '[]') ON CONFLICT DO NOTHING;
INSERT INTO days SELECT DISTINCT day, min(due), '{"sections":{},"campaigns":{}}' FROM made GROUP BY day;
INSERT INTO day_boxes SELECT DISTINCT ON (day, number) day, box, 'Cụm loa ' || (number + 1), village, village_title, 120,
    decode(repeat('00', 32), 'hex'), NULL FROM made;
INSERT INTO plays (box, epoch, play, start, subject, subject_id, title, section, rung, source, language, repetition, volume_percent,
    scheduled, opened, started, ended, frames_played, frames_due, outcome, arrived, listed)
SELECT box, '0000000000000001', lpad(to_hex(row_number() OVER ()), 16, '0'), 1, 'slot', slot || '/' || day, 'Mục ' || (item + 1),
    sections.id, 'programme', 'a.mp3', 'vi', 1, 80, due, due + item * 225000000, due + item * 225000000, due + (item + 1) * 225000000,
    10800000, 10800000, 'finished', due + item * 225000000, due + item * 225000000
FROM made, generate_series(0, 7) AS item, sections
WHERE fate = 'aired' AND sections.place = (item + made.place) % 8 ORDER BY due + item * 225000000, number;
INSERT INTO day_sums SELECT day, box, village, village_title, sections.id, sections.title, CASE WHEN sections.place = 7 THEN 'tet' ELSE '' END,
    CASE WHEN sections.place = 7 THEN 'Tết' ELSE '' END, 'programme', 'Người ' || sections.place % 4, '', 900000,
    CASE fate WHEN 'unknown' THEN 0 ELSE 900000 END, 0, CASE fate WHEN 'unknown' THEN 900000 ELSE 0 END, 0
FROM made, sections WHERE made.place = 0;
INSERT INTO airings (day, box, subject, subject_id, due, title, box_title, village, village_title, class, campaign, outcome, reason,
    planned_ms, aired_ms)
SELECT day, box, 'slot', slot || '/' || day, due, 'Bản tin ' || slot, 'Cụm loa ' || (number + 1), village, village_title, 'programme',
    CASE place WHEN 3 THEN 'tet' ELSE '' END, fate, CASE fate WHEN 'missed' THEN 'missed' ELSE '' END, 1800000,
    CASE fate WHEN 'aired' THEN 1800000 ELSE 0 END
FROM made ORDER BY due, number;
INSERT INTO airing_tags SELECT 's/' || sections.id, due, airings.id, outcome FROM airings, sections;
INSERT INTO airing_tags SELECT 'p/Người ' || airings.id % 4, due, airings.id, outcome FROM airings;

-- The parts of the log that are not there yet.
DO $$
DECLARE month timestamp;
BEGIN
    FOR month IN SELECT generate_series(date_trunc('month', to_timestamp(min(due) / 1000000) AT TIME ZONE 'UTC'), now() AT TIME ZONE 'UTC',
                                        '1 month') FROM made LOOP
        CONTINUE WHEN to_regclass('log_' || to_char(month, 'YYYY_MM')) IS NOT NULL
            OR (SELECT relkind FROM pg_class WHERE oid = to_regclass('log')) <> 'p';
        EXECUTE format('CREATE TABLE log_%s (LIKE log INCLUDING ALL)', to_char(month, 'YYYY_MM'));
        EXECUTE format('ALTER TABLE log ATTACH PARTITION log_%s FOR VALUES FROM (%s) TO (%s)', to_char(month, 'YYYY_MM'),
            extract(epoch FROM month)::bigint * 1000000, extract(epoch FROM month + interval '1 month')::bigint * 1000000);
    END LOOP;
END $$;
CREATE TEMP TABLE entries AS
SELECT box, number, due + item * 225000000 AS at, 2 * item AS turn, 'play_started' AS event,
    format('{"at":{"start":1,"mono_us":%s,"wall":"%s","quality":"synced","uncertainty_ms":20},"event":"play_started","play":"%s","subject":{"kind":"slot","slot":"%s","date":"%s"},"rung":"programme","title":"Mục %s","section":"%s","source":"a.mp3","language":"vi","repetition":1,"volume_percent":80}',
        due, to_timestamp(due / 1000000), lpad(to_hex(item), 16, '0'), slot, day, item + 1, (item + place) % 8) AS body
FROM made, generate_series(0, 7) AS item WHERE fate = 'aired'
UNION ALL
SELECT box, number, due + (item + 1) * 225000000, 2 * item + 1, 'play_ended',
    format('{"at":{"start":1,"mono_us":%s,"wall":"%s","quality":"synced","uncertainty_ms":20},"event":"play_ended","play":"%s","subject":{"kind":"slot","slot":"%s","date":"%s"},"outcome":"finished","frames_played":10800000,"frames_due":10800000}',
        due, to_timestamp(due / 1000000), lpad(to_hex(item), 16, '0'), slot, day)
FROM made, generate_series(0, 7) AS item WHERE fate = 'aired'
UNION ALL
SELECT box, number, due + 1800000000, 16, 'slot_ended',
    format('{"at":{"start":1,"mono_us":%s,"wall":"%s","quality":"synced","uncertainty_ms":20},"event":"slot_ended","key":{"slot":"%s","date":"%s"},"title":"Bản tin %s","scheduled":"%s",%s}',
        due, to_timestamp(due / 1000000), slot, day, slot, to_char(to_timestamp(due / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.000000"Z"'),
        CASE fate WHEN 'aired' THEN '"outcome":"aired","finished":8,"not_finished":0' ELSE '"outcome":"not_aired","because":"missed"' END)
FROM made WHERE fate <> 'unknown';
INSERT INTO log (box, epoch, seq, hash, arrived, wall, event, body)
SELECT box, '0000000000000001', row_number() OVER (PARTITION BY box ORDER BY at, turn), sha256(convert_to(body, 'UTF8')), at, at, event, body
FROM entries ORDER BY at, number, turn;
INSERT INTO heads SELECT DISTINCT ON (box) box, epoch, seq, hash, 0 FROM log ORDER BY box, seq DESC ON CONFLICT DO NOTHING;
INSERT INTO boxes (id, title, key) SELECT DISTINCT box, 'Cụm loa ' || (number + 1), NULL FROM made ON CONFLICT DO NOTHING;
COMMIT;
ANALYZE;
SELECT (SELECT count(*) FROM plays) AS plays, (SELECT count(*) FROM log) AS entries;
