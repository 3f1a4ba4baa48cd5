"""The local world's market: which tokens exist, what they cost, who trades well, and pools that follow prices."""
