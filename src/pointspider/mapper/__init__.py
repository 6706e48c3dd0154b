"""Mappers from point-cloud embeddings to image embeddings: model, training, baselines."""
