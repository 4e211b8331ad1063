"""What the commands of `mistudio-worker` do, one module each."""
