"""One training engine for point encoders, tiny CLIPs and mappers: device, epochs, checkpoints."""
