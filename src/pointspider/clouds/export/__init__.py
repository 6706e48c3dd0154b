"""Corrupting files: a cloud, a directory of clouds or an array, in the layouts of the benchmarks."""
