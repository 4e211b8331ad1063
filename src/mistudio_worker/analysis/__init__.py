"""The pure core: `analyze(run, parameters)` returns a FindResult."""
