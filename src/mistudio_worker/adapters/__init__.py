"""The only rooms that import clients of brokers and stores."""
