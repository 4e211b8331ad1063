"""The words in memory, frozen: a training run, the parameters, the reports, the result."""
