"""Mappers from point-cloud embeddings to image embeddings: model, training, baselines."""

#: `mapper.norm` of params.yaml and the paper's name of that mapper, in Table III's order.
LABELS = {"none": "BASE", "layer": "LNORM", "response": "RNORM"}
