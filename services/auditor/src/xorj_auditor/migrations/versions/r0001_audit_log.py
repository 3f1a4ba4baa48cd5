"""The audit log: entries partitioned by month, what proves each of them stored once, the tree's hashes, checkpoints.

1. `auditor` inserts and never changes; `audit_reader` reads. Neither owns anything nor may reach a partition directly.
2. A batch's first entry and each partition's first offset are primary keys: no two writers can store the same thing.
3. The writer gets new months from a function that acts as the owner: this month and the next, near the server's time.
4. What is looked up (fact id, trade id) is indexed as an expression over the stored bytes, never stored beside them.
"""

from alembic import op

revision = "0001"
down_revision = None

ENTRIES = """
CREATE TABLE audit_entries (
    entry_index    bigint NOT NULL CHECK (entry_index >= 0),
    kind           smallint NOT NULL CHECK (kind BETWEEN 1 AND 3),  -- 1 record, 2 gap, 3 digest
    cluster_id     text NOT NULL,
    topic          text NOT NULL,
    partition_no   integer NOT NULL,
    first_offset   bigint NOT NULL,
    next_offset    bigint NOT NULL CHECK (next_offset > first_offset),
    timestamp_ms   bigint NOT NULL,
    key            bytea,
    headers        bytea NOT NULL,  -- as hashed: empty, or count and length-prefixed names and values
    value          bytea,
    appended_at_us bigint NOT NULL, -- the auditor's clock, Unix microseconds, never falling
    leaf           bytea NOT NULL CHECK (length(leaf) = 32),
    chain          bytea NOT NULL CHECK (length(chain) = 32),
    PRIMARY KEY (entry_index, appended_at_us)
) PARTITION BY RANGE (appended_at_us)"""

INDEXES = (
    "CREATE INDEX audit_entries_offset ON audit_entries (topic, partition_no, first_offset)",
    "CREATE INDEX audit_entries_time ON audit_entries USING brin (timestamp_ms)",
    # An envelope begins with field 1, the fact id of 32 bytes: its first 8 find it.
    "CREATE INDEX audit_entries_fact ON audit_entries (substring(value from 3 for 8))"
    r" WHERE kind = 1 AND substring(value from 1 for 2) = '\x0a20'::bytea",
    # The header trade-id stands first: count, length, name, length, a flag, then the id.
    "CREATE INDEX audit_entries_trade ON audit_entries (substring(headers from 22 for 8))"
    r" WHERE substring(headers from 5 for 12) = '\x0000000874726164652d6964'::bytea",
)

OTHERS = (
    """
CREATE TABLE audit_batches (
    first_entry    bigint PRIMARY KEY,
    next_entry     bigint NOT NULL CHECK (next_entry > first_entry),
    appended_at_us bigint NOT NULL,
    writer         text NOT NULL
)""",
    """
CREATE TABLE audit_offsets (
    cluster_id   text NOT NULL,
    topic        text NOT NULL,
    partition_no integer NOT NULL,
    first_offset bigint NOT NULL,
    next_offset  bigint NOT NULL CHECK (next_offset > first_offset),
    first_entry  bigint NOT NULL,  -- of the batch
    PRIMARY KEY (cluster_id, topic, partition_no, first_offset)
)""",
    """
CREATE TABLE audit_nodes (
    level      smallint NOT NULL,  -- the subtree over 2^level leaves; a multiple of 8: lower ones follow from leaves
    node_index bigint NOT NULL,
    hash       bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, node_index)
)""",
    """
CREATE TABLE audit_checkpoints (
    size         bigint PRIMARY KEY CHECK (size >= 0),
    note         text NOT NULL,  -- signed by the auditor
    signed_at_us bigint NOT NULL
)""",
    """
CREATE TABLE audit_cosignatures (
    size           bigint NOT NULL REFERENCES audit_checkpoints,
    witness        text NOT NULL,
    line           text NOT NULL,  -- as it stands in a note
    cosigned_at_us bigint NOT NULL,
    PRIMARY KEY (witness, size)
)""",
)

PREPARE = """
CREATE FUNCTION audit_prepare_partitions(at_us bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    near_days constant integer := 40;
    server_us bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
    first_month timestamp := date_trunc('month', to_timestamp(at_us / 1000000) AT TIME ZONE 'UTC');
    month timestamp;
    name text;
    from_us bigint;
    until_us bigint;
BEGIN
    IF abs(at_us - server_us) > near_days * 86400000000 THEN
        RAISE EXCEPTION USING ERRCODE = 'datetime_field_overflow', HINT = 'one of the two clocks is wrong', MESSAGE =
            'append time ' || at_us || ' us is more than ' || near_days || ' days from the time of the database';
    END IF;
    FOR ahead IN 0..1 LOOP
        month := first_month + make_interval(months => ahead);
        name := 'audit_entries_' || to_char(month, 'YYYYMM');
        from_us := (extract(epoch FROM month AT TIME ZONE 'UTC') * 1000000)::bigint;
        until_us := (extract(epoch FROM (month + interval '1 month') AT TIME ZONE 'UTC') * 1000000)::bigint;
        IF to_regclass('public.' || name) IS NULL THEN
            -- Attaching does not wait for readers of the whole table, as creating a partition in place would.
            EXECUTE 'CREATE TABLE public.' || name || ' (LIKE public.audit_entries INCLUDING ALL)';
            EXECUTE 'ALTER TABLE public.audit_entries ATTACH PARTITION public.' || name
                || ' FOR VALUES FROM (' || from_us || ') TO (' || until_us || ')';
        END IF;
    END LOOP;
    RETURN until_us;
END $$"""

TABLES = "audit_entries, audit_batches, audit_offsets, audit_nodes, audit_checkpoints, audit_cosignatures"
RIGHTS = (
    f"REVOKE ALL ON {TABLES} FROM PUBLIC",
    f"GRANT SELECT, INSERT ON {TABLES} TO auditor",
    f"GRANT SELECT ON {TABLES} TO audit_reader",
    "REVOKE ALL ON FUNCTION audit_prepare_partitions FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION audit_prepare_partitions TO auditor",
)


def upgrade() -> None:
    """Makes everything."""
    for statement in (ENTRIES, *INDEXES, *OTHERS, PREPARE, *RIGHTS):
        op.execute(statement)


def downgrade() -> None:
    """There is no way back: an audit log is not taken away by a migration."""
    raise NotImplementedError("the audit log stays")
