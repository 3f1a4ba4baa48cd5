"""The schema of the audit database, as Alembic migrations; only the owner's role applies them."""
