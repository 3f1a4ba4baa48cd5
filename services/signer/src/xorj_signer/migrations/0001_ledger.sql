-- What the key was used for. Rows are only ever added and completed, never deleted or rebound.

CREATE TABLE intent (
    intent_id bytea PRIMARY KEY CHECK (length(intent_id) = 32),
    vault bytea NOT NULL CHECK (length(vault) = 32),
    trade_seq bigint NOT NULL CHECK (trade_seq > 0),
    value_micro_usd bigint NOT NULL CHECK (value_micro_usd >= 0),
    claimed_at timestamptz NOT NULL DEFAULT now(),
    -- fact id of the audited TradeExpired that freed the sequence
    expired_fact_id bytea CHECK (length(expired_fact_id) = 32)
);

-- One living intent for each place in a vault's sequence.
CREATE UNIQUE INDEX intent_of_sequence ON intent (vault, trade_seq) WHERE expired_fact_id IS NULL;

-- reserved: signed_fact is null; signed: it is not, published_offset is; published: neither is null.
CREATE TABLE attempt (
    intent_id bytea NOT NULL REFERENCES intent,
    attempt integer NOT NULL CHECK (attempt > 0),
    message_sha256 bytea NOT NULL CHECK (length(message_sha256) = 32),
    expiry_slot bigint NOT NULL,
    reserved_at timestamptz NOT NULL DEFAULT now(),
    signed_fact bytea,
    signed_at timestamptz,
    published_cluster_id text,
    published_partition integer,
    published_offset bigint,
    PRIMARY KEY (intent_id, attempt),
    CHECK ((signed_fact IS NULL) = (signed_at IS NULL)),
    CHECK (published_offset IS NULL OR signed_fact IS NOT NULL),
    CHECK ((published_offset IS NULL) = (published_cluster_id IS NULL)),
    CHECK ((published_offset IS NULL) = (published_partition IS NULL))
);

CREATE INDEX attempt_unpublished ON attempt (signed_at) WHERE signed_fact IS NOT NULL AND published_offset IS NULL;

GRANT SELECT, INSERT ON intent, attempt TO signer;
GRANT UPDATE (expired_fact_id) ON intent TO signer;
GRANT UPDATE (signed_fact, signed_at, published_cluster_id, published_partition, published_offset) ON attempt TO signer;
