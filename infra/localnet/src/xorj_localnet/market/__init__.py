"""The local world's market: which tokens exist, what they cost, who trades well, and the pools that follow the prices."""
