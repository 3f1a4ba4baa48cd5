"""The pure part: facts, ids, units, decisions, folds; standard library only."""
