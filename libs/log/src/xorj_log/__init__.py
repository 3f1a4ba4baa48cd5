"""Kafka: the topic table, the reader, the idempotent producer, ACLs."""
