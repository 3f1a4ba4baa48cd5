"""The local world: set-up, supervision, broker and database."""
