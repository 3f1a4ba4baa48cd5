"""The `xorj` command."""
