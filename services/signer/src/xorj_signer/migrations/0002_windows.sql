-- Windows of the policy: what was reserved, by whom it counts and when. Counters only grow.

-- The time of the newest reservation, in milliseconds of the broker; its one row is also what batches queue for.
CREATE TABLE ledger_clock (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    now_ms bigint NOT NULL CHECK (now_ms >= 0)
);
INSERT INTO ledger_clock (now_ms) VALUES (0);

CREATE TABLE spent (
    kind smallint NOT NULL, -- 0 everything, 1 a vault, 2 a mint
    subject bytea NOT NULL CHECK (length(subject) IN (0, 32)),
    span smallint NOT NULL, -- 1 a minute, 2 a day
    bucket bigint NOT NULL,
    trades bigint NOT NULL CHECK (trades >= 0),
    value_micro_usd bigint NOT NULL CHECK (value_micro_usd >= 0),
    lamports bigint NOT NULL CHECK (lamports >= 0),
    PRIMARY KEY (kind, subject, span, bucket)
);

ALTER TABLE attempt ADD COLUMN outflow_lamports bigint NOT NULL DEFAULT 0 CHECK (outflow_lamports >= 0);
CREATE INDEX attempt_unsigned ON attempt (reserved_at) WHERE signed_fact IS NULL;

CREATE FUNCTION only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'ledger_clock' THEN
        IF NEW.now_ms < OLD.now_ms THEN
            RAISE EXCEPTION 'the clock of the ledger never goes backwards';
        END IF;
    ELSIF NEW.trades < OLD.trades OR NEW.value_micro_usd < OLD.value_micro_usd OR NEW.lamports < OLD.lamports THEN
        RAISE EXCEPTION 'what was counted stays counted';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER clock_only_grows BEFORE UPDATE ON ledger_clock FOR EACH ROW EXECUTE FUNCTION only_grows();
CREATE TRIGGER spent_only_grows BEFORE UPDATE ON spent FOR EACH ROW EXECUTE FUNCTION only_grows();

GRANT SELECT ON ledger_clock, spent TO signer;
GRANT UPDATE (now_ms) ON ledger_clock TO signer;
GRANT INSERT ON spent TO signer;
GRANT UPDATE (trades, value_micro_usd, lamports) ON spent TO signer;
