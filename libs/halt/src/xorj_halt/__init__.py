"""Kill switch, lease and the guard thread."""
