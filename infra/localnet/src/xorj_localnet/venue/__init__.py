"""Stand-in for the trading venue: quotes and swap instructions over the local pools, reference prices, token list."""
