"""Judges the evidence of one trade offline."""
