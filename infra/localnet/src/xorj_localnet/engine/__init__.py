"""Stand-in for the Quantitative Engine: serves a ranking, which the demo and tests may replace."""
