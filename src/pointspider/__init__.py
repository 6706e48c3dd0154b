"""PointSpider: learn mappings that align point clouds with the CLIP embeddings of their renders.

Importing the package is instant: torch, mitsuba, open_clip and transformers are imported only by the
modules that use them.
"""
