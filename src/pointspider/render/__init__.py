"""Rendering with Mitsuba: the reference procedure and the fast one. Mitsuba is imported nowhere else."""
