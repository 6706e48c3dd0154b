"""Predictors of image embeddings from point-cloud embeddings: mappers, fits and constants."""
