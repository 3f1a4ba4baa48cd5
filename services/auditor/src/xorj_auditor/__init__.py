"""Writes every record to an append-only hash-chained store."""
