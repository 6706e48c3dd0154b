"""Point clouds: files, sources and corruptions."""
