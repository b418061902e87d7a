-- The audit trail is append-only: nobody changes a row, and it goes only when its time is over, a year at least.
CREATE TRIGGER IF NOT EXISTS acts_stay BEFORE UPDATE ON acts BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;
DROP TRIGGER IF EXISTS acts_are_kept;
CREATE TRIGGER acts_are_kept BEFORE DELETE ON acts
    WHEN NOT EXISTS (SELECT 1 FROM pruned WHERE kept = 'acts' AND OLD.at < before)
    BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;
