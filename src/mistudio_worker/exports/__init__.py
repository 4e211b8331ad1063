"""One pure writer a format: FindResult -> stream."""
