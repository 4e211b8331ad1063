"""Find out what each feature of a sparse autoencoder responds to."""


def __getattr__(name: str) -> str:
    """Look `__version__` up when it is asked for: that reads the metadata of installed packages."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415

    return version("mistudio-worker")
