"""Corruptions of point clouds, a module per benchmark; see `registry.Corruption` for how to add one."""
