"""Compares real holdings with the target and publishes deltas."""
