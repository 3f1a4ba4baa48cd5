"""The one-machine world: broker, database, chain, engine, venue."""
