"""Rendering with Mitsuba: the reference procedure and the fast one. Mitsuba is imported nowhere else.

Dr.Jit, below Mitsuba, loads LLVM in the moment that it is imported, and `variants.activate` decides which
LLVM that is. The modules here therefore import Mitsuba inside their functions, and can themselves be
imported before a variant is active; but for `gather`, `sampler` and `path`, which the renderer imports when
it is made.
"""
