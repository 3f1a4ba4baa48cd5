"""How a local world begins: what its chain holds before the first slot, and the transactions that open the vaults."""
