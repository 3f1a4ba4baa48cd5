"""Writes the migrations out as SQL, into the buffer that whoever runs them brings: see `xorj_auditor.schema`."""

from alembic import context

context.configure(dialect_name="postgresql", literal_binds=True)
with context.begin_transaction():
    context.run_migrations()
