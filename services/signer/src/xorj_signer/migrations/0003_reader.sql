-- Who looks after the ledger may read it, and nothing else.
GRANT SELECT ON intent, attempt, ledger_clock, spent TO signer_reader;
