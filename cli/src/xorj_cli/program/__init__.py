"""`xorj program`: builds, deploys, configures, checks and shows the on-chain program, over any RPC endpoint."""
