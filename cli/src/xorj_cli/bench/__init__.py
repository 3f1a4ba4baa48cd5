"""`xorj bench`: measurements, each on a world that it starts and stops itself, each beside a bare limit of this run."""
