"""RPC client, account parsing and the vault program's client."""
