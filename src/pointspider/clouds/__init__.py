"""Point clouds: where they come from, how they are corrupted, which of them are used for what."""
