"""Turns a delta into one trade: intend, plan, sign, submit, confirm."""
