"""Architectures of point encoders, one file each. The file name is the value of `encoders.points.name`."""
