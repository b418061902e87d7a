-- The audit trail is append-only: nobody changes a row, and it goes only when its time is over, a year at least.
CREATE OR REPLACE TRIGGER acts_stay BEFORE UPDATE ON acts FOR EACH ROW EXECUTE FUNCTION acts_stay();
CREATE OR REPLACE TRIGGER acts_are_kept BEFORE DELETE ON acts FOR EACH ROW EXECUTE FUNCTION acts_are_kept();
-- Neither all at once.
CREATE OR REPLACE TRIGGER acts_are_not_emptied BEFORE TRUNCATE ON acts FOR EACH STATEMENT EXECUTE FUNCTION acts_stay();
