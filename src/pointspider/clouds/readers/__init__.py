"""Readers of cloud files, one module per format family; see `registry.Format` for how to add one."""
