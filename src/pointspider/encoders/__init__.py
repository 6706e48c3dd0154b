"""Frozen encoders: CLIP for renders and prompts, PointNet for clouds, and how the workflow trains its own."""
