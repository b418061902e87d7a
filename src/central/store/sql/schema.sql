-- Times are microseconds since 1970 UTC; epochs and plays are 16 hex digits; lists are JSON. On a server, what stands behind
-- `server:` takes the place of its line.

CREATE TABLE IF NOT EXISTS boxes (
    id        TEXT PRIMARY KEY,
    title     TEXT NOT NULL,
    groups    TEXT NOT NULL DEFAULT '[]',
    key       TEXT,
    last_seen INTEGER,
    lost      INTEGER NOT NULL DEFAULT 0,
    software  TEXT,
    clock     TEXT,
    epoch     TEXT,
    backlog   INTEGER NOT NULL DEFAULT 0,
    faults    TEXT NOT NULL DEFAULT '[]',
    holds     TEXT,
    languages TEXT NOT NULL DEFAULT '[]',
    -- When it last said hello.
    introduced INTEGER
) STRICT;

-- How far the log of each store of each box has arrived.
CREATE TABLE IF NOT EXISTS heads (
    box    TEXT NOT NULL,
    epoch  TEXT NOT NULL,
    upto   INTEGER NOT NULL,
    hash   BLOB NOT NULL,
    forked INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (box, epoch)
) STRICT, WITHOUT ROWID;

-- What the boxes signed of their logs: the last head of each day.
CREATE TABLE IF NOT EXISTS signed_heads (
    box      TEXT NOT NULL,
    epoch    TEXT NOT NULL,
    day      INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    envelope TEXT NOT NULL,
    PRIMARY KEY (box, epoch, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS signed_heads_seq ON signed_heads (box, epoch, seq);

-- On a server a table for each month of arrival, made by log_parts.rs; that (box, epoch, seq) stands once is kept by `heads`.
-- server: CREATE SEQUENCE IF NOT EXISTS log_cursors;
CREATE TABLE IF NOT EXISTS log (
    cursor  INTEGER PRIMARY KEY, -- server: cursor BIGINT NOT NULL DEFAULT nextval('log_cursors'),
    box     TEXT NOT NULL,
    epoch   TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    hash    BLOB NOT NULL,
    arrived INTEGER NOT NULL,
    wall    INTEGER NOT NULL,
    event   TEXT NOT NULL,
    command TEXT,
    body    TEXT NOT NULL,
    implausible TEXT,
    UNIQUE (box, epoch, seq) -- server: PRIMARY KEY (cursor, arrived)
) STRICT; -- server: ) PARTITION BY RANGE (arrived);
-- server: CREATE INDEX IF NOT EXISTS log_seq ON log (box, epoch, seq);
CREATE INDEX IF NOT EXISTS log_wall ON log (wall);
CREATE INDEX IF NOT EXISTS log_not_played ON log (cursor) WHERE event = 'not_played';
CREATE INDEX IF NOT EXISTS log_slots ON log (box, body ->> '$.key.slot', body ->> '$.key.date') WHERE event = 'slot_ended';
CREATE INDEX IF NOT EXISTS log_not_aired ON log (cursor) WHERE event = 'slot_ended' AND body ->> '$.outcome' = 'not_aired';
CREATE INDEX IF NOT EXISTS log_command ON log (command) WHERE command IS NOT NULL;

-- One row a play, joined from its start and its end.
CREATE TABLE IF NOT EXISTS plays (
    cursor         INTEGER PRIMARY KEY,
    box            TEXT NOT NULL,
    epoch          TEXT NOT NULL,
    play           TEXT NOT NULL,
    start          INTEGER NOT NULL,
    subject        TEXT NOT NULL,
    subject_id     TEXT NOT NULL,
    title          TEXT NOT NULL,
    section        TEXT,
    campaign       TEXT,
    class          TEXT,
    mode           TEXT,
    rung           TEXT NOT NULL,
    source         TEXT NOT NULL,
    language       TEXT NOT NULL,
    repetition     INTEGER NOT NULL,
    volume_percent INTEGER NOT NULL,
    scheduled      INTEGER,
    opened         INTEGER NOT NULL,
    started        INTEGER,
    ended          INTEGER,
    frames_played  INTEGER,
    frames_due     INTEGER,
    outcome        TEXT,
    reason         TEXT,
    heard          INTEGER,
    -- When its start arrived, and the earlier of that and of when it says that it was opened.
    arrived        INTEGER,
    listed         INTEGER,
    implausible    TEXT,
    UNIQUE (box, epoch, play)
) STRICT;
CREATE INDEX IF NOT EXISTS plays_opened ON plays (opened);
CREATE INDEX IF NOT EXISTS plays_listed ON plays (listed, cursor) WHERE implausible IS NULL;
CREATE INDEX IF NOT EXISTS plays_implausible ON plays (listed, cursor) WHERE implausible IS NOT NULL;
CREATE INDEX IF NOT EXISTS plays_open ON plays (box, epoch) WHERE outcome IS NULL;
CREATE INDEX IF NOT EXISTS plays_subject ON plays (subject_id);

CREATE TABLE IF NOT EXISTS commands (
    id        TEXT PRIMARY KEY,
    kind      TEXT NOT NULL,
    issuer    TEXT NOT NULL,
    serial    INTEGER NOT NULL,
    issued_at INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    groups    TEXT NOT NULL,
    title     TEXT NOT NULL,
    class     TEXT,
    mode      TEXT,
    author    TEXT NOT NULL,
    approver  TEXT,
    ended     TEXT,
    payload   TEXT NOT NULL,
    envelope  BLOB NOT NULL,
    UNIQUE (issuer, serial)
) STRICT;
CREATE INDEX IF NOT EXISTS commands_expires ON commands (expires);
CREATE INDEX IF NOT EXISTS commands_issued ON commands (kind, issued_at);

-- Programmes, policies and groups that were sent: `programme/xa`, `policy`, `groups`.
CREATE TABLE IF NOT EXISTS documents (
    name    TEXT NOT NULL,
    version INTEGER NOT NULL,
    command TEXT NOT NULL REFERENCES commands (id),
    PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;

-- Commands that wait for people's signatures.
CREATE TABLE IF NOT EXISTS drafts (
    id      TEXT PRIMARY KEY,
    made    INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    payload TEXT NOT NULL,
    drafter TEXT NOT NULL DEFAULT '',
    emergency INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS draft_signatures (
    draft     TEXT NOT NULL REFERENCES drafts (id),
    key       TEXT NOT NULL,
    signature BLOB NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (draft, key)
) STRICT, WITHOUT ROWID;

-- Boxes that were revoked and not enrolled again: no configuration brings their key back.
CREATE TABLE IF NOT EXISTS shut_out (
    box   TEXT PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS deliveries (
    command  TEXT NOT NULL,
    box      TEXT NOT NULL,
    step     TEXT NOT NULL,
    reason   TEXT,
    sent     INTEGER,
    received INTEGER,
    staged   INTEGER,
    started  INTEGER,
    over     INTEGER,
    PRIMARY KEY (command, box)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deliveries_box ON deliveries (box, command);
-- What boxes tell of orders that are not kept, or not yet.
CREATE INDEX IF NOT EXISTS deliveries_of_nothing ON deliveries (command, box) WHERE sent IS NULL;

CREATE TABLE IF NOT EXISTS serials (
    issuer TEXT PRIMARY KEY,
    last   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS media (
    sha256 TEXT PRIMARY KEY,
    bytes  INTEGER NOT NULL,
    codec  TEXT NOT NULL,
    ms     INTEGER NOT NULL,
    name   TEXT NOT NULL,
    added  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS alarms (
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;

-- One-time codes, as SHA-256, with which a box enrols.
CREATE TABLE IF NOT EXISTS enrolments (
    code    TEXT PRIMARY KEY,
    box     TEXT NOT NULL,
    title   TEXT NOT NULL,
    groups  TEXT NOT NULL,
    expires INTEGER NOT NULL,
    used    INTEGER
) STRICT, WITHOUT ROWID;

-- Certificates of boxes by the SHA-256 of their DER bytes.
CREATE TABLE IF NOT EXISTS certificates (
    fingerprint TEXT PRIMARY KEY,
    box         TEXT NOT NULL,
    issued      INTEGER NOT NULL,
    revoked     INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS certificates_box ON certificates (box);

-- What a list of revoked certificates names them by.
CREATE TABLE IF NOT EXISTS certificate_serials (
    fingerprint TEXT PRIMARY KEY REFERENCES certificates (fingerprint),
    serial      BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- CAP alerts by the reference that makes them unique; what became of each, as JSON.
CREATE TABLE IF NOT EXISTS cap_alerts (
    reference TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    received INTEGER NOT NULL,
    state TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Which alerts an alert updates or cancels, also those that have not come yet.
CREATE TABLE IF NOT EXISTS cap_references (
    target   TEXT NOT NULL,
    named_by TEXT NOT NULL REFERENCES cap_alerts (id),
    PRIMARY KEY (target, named_by)
) STRICT, WITHOUT ROWID;

-- What a feed brought and was not taken.
CREATE TABLE IF NOT EXISTS cap_passed_over (
    what   TEXT PRIMARY KEY,
    why    TEXT NOT NULL,
    why_vi TEXT NOT NULL,
    last   INTEGER NOT NULL,
    times  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Tokens of programs, as SHA-256.
CREATE TABLE IF NOT EXISTS tokens (
    name    TEXT PRIMARY KEY,
    hash    BLOB NOT NULL UNIQUE,
    scope   TEXT NOT NULL,
    made    INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    revoked INTEGER,
    owner   TEXT
) STRICT, WITHOUT ROWID;

-- People who sign in; `left` is set for those who have gone, and their history stays. `sessions_ended` counts how often all
-- their sessions were ended.
CREATE TABLE IF NOT EXISTS people (
    id        TEXT PRIMARY KEY,
    name      TEXT NOT NULL,
    reach     TEXT NOT NULL,
    password  TEXT,
    totp      BLOB,
    totp_step INTEGER NOT NULL DEFAULT 0,
    made      INTEGER NOT NULL,
    "left"    INTEGER,
    sessions_ended INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- What people may, for which group, and who gave it.
CREATE TABLE IF NOT EXISTS roles (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    person       TEXT NOT NULL REFERENCES people (id),
    role         TEXT NOT NULL,
    in_group     TEXT NOT NULL,
    asked_by     TEXT,
    asked        INTEGER NOT NULL,
    confirmed_by TEXT,
    good_from    INTEGER,
    ended        INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS roles_person ON roles (person);

-- Recovery codes, as SHA-256; a used one is gone.
CREATE TABLE IF NOT EXISTS recovery_codes (
    person TEXT NOT NULL,
    code   BLOB NOT NULL,
    PRIMARY KEY (person, code)
) STRICT, WITHOUT ROWID;

-- One-time links, as SHA-256 of their code.
CREATE TABLE IF NOT EXISTS links (
    code      BLOB PRIMARY KEY,
    purpose   TEXT NOT NULL,
    person    TEXT,
    expires   INTEGER NOT NULL,
    asked_by  TEXT,
    good_from INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Sessions of browsers, as SHA-256 of their secret.
CREATE TABLE IF NOT EXISTS sessions (
    secret  BLOB PRIMARY KEY,
    person  TEXT NOT NULL,
    stage   TEXT NOT NULL,
    made    INTEGER NOT NULL,
    seen    INTEGER NOT NULL,
    address TEXT NOT NULL,
    browser TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_person ON sessions (person);

-- The audit trail: rows are added, and each engine's own triggers keep everybody from changing them.
CREATE TABLE IF NOT EXISTS acts (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    act     TEXT NOT NULL,
    subject TEXT NOT NULL,
    was     TEXT,
    becomes TEXT,
    address TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS acts_subject ON acts (subject);
CREATE INDEX IF NOT EXISTS acts_actor ON acts (actor);
CREATE INDEX IF NOT EXISTS acts_act ON acts (act);
CREATE INDEX IF NOT EXISTS acts_at ON acts (at);

-- Notices with their latest version, as JSON; `digest` is what an approval names.
CREATE TABLE IF NOT EXISTS notices (
    id         TEXT PRIMARY KEY,
    state      TEXT NOT NULL,
    author     TEXT NOT NULL,
    version    INTEGER NOT NULL,
    content    TEXT NOT NULL,
    digest     BLOB NOT NULL,
    made       INTEGER NOT NULL,
    changed    INTEGER NOT NULL,
    decided_by TEXT,
    reason     TEXT,
    command    TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS notices_state ON notices (state, changed);
CREATE INDEX IF NOT EXISTS notices_changed ON notices (changed DESC, id);
CREATE INDEX IF NOT EXISTS notices_author ON notices (author, changed);
CREATE INDEX IF NOT EXISTS notices_command ON notices (command);

-- Every version of a notice, with who wrote it.
CREATE TABLE IF NOT EXISTS notice_versions (
    notice  TEXT NOT NULL,
    version INTEGER NOT NULL,
    editor  TEXT NOT NULL,
    at      INTEGER NOT NULL,
    content TEXT NOT NULL,
    digest  BLOB NOT NULL,
    PRIMARY KEY (notice, version)
) STRICT, WITHOUT ROWID;

-- Messages prepared for emergencies.
CREATE TABLE IF NOT EXISTS messages (
    id       TEXT PRIMARY KEY,
    purpose  TEXT NOT NULL,
    danger   TEXT NOT NULL,
    title    TEXT NOT NULL,
    words    TEXT NOT NULL,
    language TEXT NOT NULL,
    media    BLOB NOT NULL,
    ms       INTEGER NOT NULL,
    siren    INTEGER NOT NULL,
    repeat   INTEGER NOT NULL,
    person   TEXT NOT NULL,
    made     INTEGER NOT NULL,
    ended    INTEGER
) STRICT, WITHOUT ROWID;

-- Turns on duty, as JSON.
CREATE TABLE IF NOT EXISTS shifts (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    above INTEGER NOT NULL,
    place INTEGER NOT NULL,
    turn  TEXT NOT NULL
) STRICT;

-- Calls for a second duty officer, under the id of the command that they are about.
CREATE TABLE IF NOT EXISTS calls (
    id        TEXT PRIMARY KEY,
    purpose   TEXT NOT NULL,
    state     TEXT NOT NULL,
    message   TEXT,
    title     TEXT NOT NULL,
    groups    TEXT NOT NULL,
    person    TEXT NOT NULL,
    began     INTEGER NOT NULL,
    agreed_by TEXT,
    agreed    INTEGER,
    ended_by  TEXT,
    ended     INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS calls_began ON calls (began);

CREATE TABLE IF NOT EXISTS call_replies (
    call   TEXT NOT NULL,
    person TEXT NOT NULL,
    reply  TEXT NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (call, person)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS call_contacts (
    call    TEXT NOT NULL,
    contact TEXT NOT NULL,
    name    TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (call, contact)
) STRICT, WITHOUT ROWID;

-- What was sent after a call had ended, once each.
CREATE TABLE IF NOT EXISTS call_follow_ups (
    call    TEXT NOT NULL,
    message TEXT NOT NULL,
    command TEXT,
    PRIMARY KEY (call, message)
) STRICT, WITHOUT ROWID;

-- E-mails and webhook events to people who are called; `due` is empty when no try is to come.
CREATE TABLE IF NOT EXISTS letters (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    call    TEXT NOT NULL,
    contact TEXT NOT NULL,
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    subject TEXT NOT NULL,
    body    TEXT NOT NULL,
    made    INTEGER NOT NULL,
    due     INTEGER,
    tries   INTEGER NOT NULL,
    sent    INTEGER,
    fault   TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS letters_due ON letters (due) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS letters_call ON letters (call);
CREATE INDEX IF NOT EXISTS letters_over ON letters (made) WHERE due IS NULL;

-- The notices that tell of an exercise.
CREATE TABLE IF NOT EXISTS exercise_notices (
    exercise TEXT NOT NULL,
    notice   TEXT NOT NULL,
    PRIMARY KEY (exercise, notice)
) STRICT, WITHOUT ROWID;

-- Words that the speech engine says wrongly, and how they are to be said.
CREATE TABLE IF NOT EXISTS pronunciations (
    word   TEXT PRIMARY KEY,
    say    TEXT NOT NULL,
    editor TEXT NOT NULL,
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What is wrong, and was wrong before; an open one of a kind, code and subject stands once.
CREATE TABLE IF NOT EXISTS troubles (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT NOT NULL,
    what         TEXT NOT NULL,
    subject      TEXT NOT NULL,
    detail       TEXT NOT NULL,
    since        INTEGER NOT NULL,
    ended        INTEGER,
    taken_by     TEXT,
    taken        INTEGER,
    silent_until INTEGER
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS troubles_open ON troubles (kind, what, subject) WHERE ended IS NULL;
CREATE INDEX IF NOT EXISTS troubles_of ON troubles (kind, what, subject, ended);
CREATE INDEX IF NOT EXISTS troubles_subject ON troubles (subject, ended) WHERE ended IS NOT NULL;
CREATE INDEX IF NOT EXISTS troubles_ended ON troubles (ended) WHERE ended IS NOT NULL;

-- What staff say of groups and boxes; NULL where they have said nothing.
CREATE TABLE IF NOT EXISTS places (
    in_group   TEXT PRIMARY KEY,
    title      TEXT,
    households INTEGER,
    latitude   REAL,
    longitude  REAL
) STRICT, WITHOUT ROWID;
-- Groups that became part of another; their old names lead there.
CREATE TABLE IF NOT EXISTS merged (
    old     TEXT PRIMARY KEY,
    becomes TEXT NOT NULL CHECK (becomes <> old)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sites (
    box        TEXT PRIMARY KEY,
    latitude   REAL,
    longitude  REAL,
    work_by    TEXT,
    work_note  TEXT,
    work_until INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sections (
    id    TEXT PRIMARY KEY,
    title TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- Days as 2026-11-26.
CREATE TABLE IF NOT EXISTS campaigns (
    id          TEXT PRIMARY KEY,
    title       TEXT NOT NULL,
    begins      TEXT NOT NULL,
    ends        TEXT NOT NULL,
    responsible TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Signs of life of each box, hour by hour.
CREATE TABLE IF NOT EXISTS health (
    box           TEXT NOT NULL,
    hour          INTEGER NOT NULL,
    signs         INTEGER NOT NULL,
    without_clock INTEGER NOT NULL,
    faulty        INTEGER NOT NULL,
    backlog_max   INTEGER NOT NULL,
    software      TEXT,
    disk_free_mib INTEGER,
    month_mib     INTEGER,
    PRIMARY KEY (box, hour)
) STRICT, WITHOUT ROWID;

-- Keys that a person's telephone or computer keeps, and the challenges that browsers were given.
CREATE TABLE IF NOT EXISTS passkeys (
    id         BLOB PRIMARY KEY,
    person     TEXT NOT NULL,
    name       TEXT NOT NULL,
    credential TEXT NOT NULL,
    made       INTEGER NOT NULL,
    used       INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS passkeys_of ON passkeys (person);
CREATE TABLE IF NOT EXISTS challenges (
    session   BLOB PRIMARY KEY,
    challenge TEXT NOT NULL,
    at        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Changes of programmes, limits and groups on their way through approval; of a document, one is open at a time.
CREATE TABLE IF NOT EXISTS proposals (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    subject    TEXT NOT NULL,
    state      TEXT NOT NULL,
    author     TEXT NOT NULL,
    version    INTEGER NOT NULL,
    content    TEXT NOT NULL,
    digest     BLOB NOT NULL,
    made       INTEGER NOT NULL,
    changed    INTEGER NOT NULL,
    decided_by TEXT,
    reason     TEXT,
    command    TEXT
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS proposals_open ON proposals (kind, subject)
    WHERE state IN ('draft', 'submitted', 'returned');
CREATE TABLE IF NOT EXISTS proposal_versions (
    proposal TEXT NOT NULL,
    version  INTEGER NOT NULL,
    editor   TEXT NOT NULL,
    at       INTEGER NOT NULL,
    change   TEXT NOT NULL,
    content  TEXT NOT NULL,
    digest   BLOB NOT NULL,
    PRIMARY KEY (proposal, version)
) STRICT;

-- Days as they were planned, with the names of their sections and campaigns as they were then, as JSON. Days as 2026-11-26.
CREATE TABLE IF NOT EXISTS days (
    day   TEXT PRIMARY KEY,
    made  INTEGER NOT NULL,
    names TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- The boxes of a day, as they were called then; `plan` names the sessions that they were to air.
CREATE TABLE IF NOT EXISTS day_boxes (
    day           TEXT NOT NULL,
    box           TEXT NOT NULL,
    title         TEXT NOT NULL,
    village       TEXT NOT NULL,
    village_title TEXT NOT NULL,
    households    INTEGER,
    plan          BLOB NOT NULL,
    supplemented  TEXT,
    PRIMARY KEY (day, box)
) STRICT, WITHOUT ROWID;
-- Sessions as JSON under their SHA-256: boxes of one village share them.
CREATE TABLE IF NOT EXISTS day_plans (
    plan     BLOB PRIMARY KEY,
    sessions TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- Boxes whose day is to be reckoned anew; `mark` is another number with each reason, and none comes twice.
CREATE TABLE IF NOT EXISTS days_to_settle (
    day  TEXT NOT NULL,
    box  TEXT NOT NULL,
    mark INTEGER NOT NULL,
    PRIMARY KEY (day, box)
) STRICT, WITHOUT ROWID;
-- A day of a box added up; in every row planned = aired + missed + unknown. What sounded beside the plan is `extra`.
CREATE TABLE IF NOT EXISTS day_sums (
    day            TEXT NOT NULL,
    box            TEXT NOT NULL,
    village        TEXT NOT NULL,
    village_title  TEXT NOT NULL,
    section        TEXT NOT NULL,
    section_title  TEXT NOT NULL,
    campaign       TEXT NOT NULL,
    campaign_title TEXT NOT NULL,
    class          TEXT NOT NULL,
    responsible    TEXT NOT NULL,
    reason         TEXT NOT NULL,
    planned_ms     INTEGER NOT NULL,
    aired_ms       INTEGER NOT NULL,
    missed_ms      INTEGER NOT NULL,
    unknown_ms     INTEGER NOT NULL,
    extra_ms       INTEGER NOT NULL,
    PRIMARY KEY (day, box, section, campaign, class, responsible, reason)
) STRICT, WITHOUT ROWID;
-- What was due on a box, and what became of it: the lines of the log's page.
CREATE TABLE IF NOT EXISTS airings (
    id            INTEGER PRIMARY KEY,
    day           TEXT NOT NULL,
    box           TEXT NOT NULL,
    subject       TEXT NOT NULL,
    subject_id    TEXT NOT NULL,
    due           INTEGER NOT NULL,
    title         TEXT NOT NULL,
    box_title     TEXT NOT NULL,
    village       TEXT NOT NULL,
    village_title TEXT NOT NULL,
    class         TEXT NOT NULL,
    campaign      TEXT NOT NULL,
    outcome       TEXT NOT NULL,
    reason        TEXT NOT NULL,
    planned_ms    INTEGER NOT NULL,
    aired_ms      INTEGER NOT NULL,
    UNIQUE (day, box, subject, subject_id)
) STRICT;
CREATE INDEX IF NOT EXISTS airings_due ON airings (due, id, outcome, village);
CREATE INDEX IF NOT EXISTS airings_box ON airings (box, due, id, outcome);
CREATE INDEX IF NOT EXISTS airings_village ON airings (village, due, id, outcome);
CREATE INDEX IF NOT EXISTS airings_class ON airings (class, due, id, outcome);
CREATE INDEX IF NOT EXISTS airings_campaign ON airings (campaign, due, id, outcome) WHERE campaign <> '';
CREATE INDEX IF NOT EXISTS airings_outcome ON airings (outcome, due, id) WHERE outcome IN ('missed', 'unknown', 'partly', 'on_air');
-- Sections and people of airings: `s/y-te`, `p/Nguyễn Văn An`.
CREATE TABLE IF NOT EXISTS airing_tags (
    tag     TEXT NOT NULL,
    due     INTEGER NOT NULL,
    airing  INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (tag, due, airing)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS airing_tags_airing ON airing_tags (airing);
CREATE INDEX IF NOT EXISTS plays_box ON plays (box, opened);
CREATE INDEX IF NOT EXISTS log_slot_days ON log (box, body ->> '$.key.date') WHERE event = 'slot_ended';
CREATE INDEX IF NOT EXISTS log_box ON log (box, wall);
-- Reports that the centre made by itself, with the days that they were made and sent.
CREATE TABLE IF NOT EXISTS made_reports (
    month TEXT PRIMARY KEY,
    made  INTEGER NOT NULL,
    sums  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- One hash of all logs, each day.
CREATE TABLE IF NOT EXISTS anchors (
    day    TEXT PRIMARY KEY,
    made   INTEGER NOT NULL,
    hash   BLOB NOT NULL,
    heads  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS feedback (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    code        TEXT NOT NULL UNIQUE,
    village     TEXT NOT NULL,
    kind        TEXT NOT NULL,
    words       TEXT NOT NULL,
    about       TEXT,
    made        INTEGER NOT NULL,
    due         INTEGER,
    answered_by TEXT,
    answered    INTEGER,
    answer      TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS feedback_waiting ON feedback (due, id) WHERE answered IS NULL;
CREATE INDEX IF NOT EXISTS feedback_made ON feedback (made);

CREATE TABLE IF NOT EXISTS receivers (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    title  TEXT NOT NULL,
    url    TEXT NOT NULL,
    secret BLOB NOT NULL,
    kinds  TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS events (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    receiver INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    about    TEXT NOT NULL,
    body     TEXT NOT NULL,
    made     INTEGER NOT NULL,
    due      INTEGER,
    tries    INTEGER NOT NULL,
    sent     INTEGER,
    fault    TEXT,
    UNIQUE (receiver, kind, about)
) STRICT;
CREATE INDEX IF NOT EXISTS events_due ON events (receiver, id) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS events_over ON events (made) WHERE due IS NULL;

-- How long things are kept, as JSON.
CREATE TABLE IF NOT EXISTS keeping (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    rule TEXT NOT NULL
) STRICT;
-- Up to when things of a kind were deleted, and how many.
CREATE TABLE IF NOT EXISTS pruned (
    kept   TEXT PRIMARY KEY,
    before INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    gone   INTEGER NOT NULL,
    CHECK (kept <> 'acts' OR before <= at - 31536000000000)
) STRICT, WITHOUT ROWID;
-- How far the log of each store of each box was deleted, with the hash that the rest continues. `since` is the time of its
-- first entry.
CREATE TABLE IF NOT EXISTS pruned_logs (
    box   TEXT NOT NULL,
    epoch TEXT NOT NULL,
    upto  INTEGER NOT NULL,
    hash  BLOB NOT NULL,
    since INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    PRIMARY KEY (box, epoch)
) STRICT, WITHOUT ROWID;
-- Entries that a box lost before they arrived, by the last before them and the first behind them, and the stretch of time of
-- which its log says nothing: from the last word before them to the first behind them.
CREATE TABLE IF NOT EXISTS log_holes (
    box     TEXT NOT NULL,
    epoch   TEXT NOT NULL,
    upto    INTEGER NOT NULL,
    resumes INTEGER NOT NULL,
    since   INTEGER NOT NULL,
    told    INTEGER NOT NULL,
    PRIMARY KEY (box, epoch, upto)
) STRICT, WITHOUT ROWID;
-- The room that things took when they were measured.
CREATE TABLE IF NOT EXISTS rooms (
    what     TEXT PRIMARY KEY,
    bytes    INTEGER NOT NULL,
    measured INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Words of villagers counted by the day on which they were said, under the village's name of then. `asked` need an answer.
CREATE TABLE IF NOT EXISTS feedback_days (
    day           TEXT NOT NULL,
    village       TEXT NOT NULL,
    village_title TEXT NOT NULL,
    kind          TEXT NOT NULL,
    said          INTEGER NOT NULL,
    asked         INTEGER NOT NULL,
    in_time       INTEGER NOT NULL,
    late          INTEGER NOT NULL,
    PRIMARY KEY (day, village, kind)
) STRICT, WITHOUT ROWID;

-- Releases on their way to the boxes; the newest is the one that counts.
CREATE TABLE IF NOT EXISTS rollouts (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    begun   INTEGER NOT NULL,
    plan    TEXT NOT NULL,
    author  TEXT NOT NULL,
    state    TEXT NOT NULL DEFAULT 'runs',
    ordered  INTEGER NOT NULL DEFAULT 0,
    forgiven INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What each box said last of its upgrade, as JSON, and since when it says so.
CREATE TABLE IF NOT EXISTS upgrades (
    box   TEXT PRIMARY KEY,
    told  TEXT NOT NULL,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What one of several centrals does for all, until a time by the database's clock.
CREATE TABLE IF NOT EXISTS leases (
    duty   TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What each of several centrals changed: a number that grows tells the others that they remember something old.
CREATE TABLE IF NOT EXISTS news (
    central TEXT NOT NULL,
    kind    TEXT NOT NULL,
    version INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (central, kind)
) STRICT, WITHOUT ROWID;

-- Signed requests of the last minutes, each taken by one of several centrals.
CREATE TABLE IF NOT EXISTS taken_requests (
    key   TEXT NOT NULL,
    nonce TEXT NOT NULL,
    at    INTEGER NOT NULL,
    PRIMARY KEY (key, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS taken_requests_at ON taken_requests (at);

-- Wrong tries to sign in at any of several centrals.
CREATE TABLE IF NOT EXISTS wrong_tries (
    who   TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    times INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS wrong_tries_since ON wrong_tries (since);

-- Live voices with the address of the one of several centrals that takes each.
CREATE TABLE IF NOT EXISTS voices (
    name  TEXT PRIMARY KEY,
    url   TEXT NOT NULL,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The server to which this database was carried over: no central begins on it any more.
CREATE TABLE IF NOT EXISTS carried_over (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    server TEXT NOT NULL,
    at     INTEGER NOT NULL
) STRICT;
