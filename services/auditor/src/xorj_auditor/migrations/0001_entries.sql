-- The audit log: one row for every record of every topic, or for a gap in a partition's offsets, in one total order.
-- Next offsets are not kept anywhere else: they follow from the rows, so the writer needs no right to change anything.
CREATE TABLE audit_entries (
    entry_index  bigint PRIMARY KEY CHECK (entry_index >= 0),
    kind         smallint NOT NULL CHECK (kind IN (1, 2)),  -- 1 record, 2 gap
    cluster_id   text NOT NULL,
    topic        text NOT NULL,
    partition_no integer NOT NULL CHECK (partition_no >= 0),
    first_offset bigint NOT NULL CHECK (first_offset >= 0),
    next_offset  bigint NOT NULL CHECK (next_offset > first_offset),
    timestamp_ms bigint NOT NULL,
    key          bytea,
    headers      bytea NOT NULL,  -- as hashed: empty, or count and length-prefixed names and values
    value        bytea,
    leaf         bytea NOT NULL CHECK (length(leaf) = 32),
    chain        bytea NOT NULL CHECK (length(chain) = 32),
    UNIQUE (cluster_id, topic, partition_no, first_offset)
);

REVOKE ALL ON audit_entries FROM PUBLIC;
GRANT SELECT, INSERT ON audit_entries TO auditor;
GRANT SELECT ON audit_entries TO audit_reader;
