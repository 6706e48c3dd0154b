"""Sources of clouds, one module each; see `base.Source` for how to add one."""
