"""Find out what each feature of a sparse autoencoder responds to."""

from importlib.metadata import version

__version__ = version("mistudio-worker")
