"""One pure writer a format, FindResult -> stream; `formats.py` is the table of them."""
