"""Cosigns checkpoints of audit logs that continue what it has seen, and no others (C2SP tlog-witness)."""
