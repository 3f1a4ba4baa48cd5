"""The service loop, settings, health, logs and metrics."""
