"""Holds the key: checks everything by itself, then signs."""
