"""Encoders of point clouds, images and prompts."""
