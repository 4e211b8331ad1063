"""The pure core of `compare`: two runs, or two results, -> Comparison."""
