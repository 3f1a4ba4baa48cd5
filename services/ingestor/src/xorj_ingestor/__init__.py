"""Polls the engine, prices and settings; publishes them as facts."""
