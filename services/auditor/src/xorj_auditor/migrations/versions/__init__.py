"""One module per migration, applied in the order of their revisions; an applied one never changes."""
