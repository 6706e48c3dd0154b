"""Pages of Snakemake's report."""
