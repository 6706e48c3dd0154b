"""Render every cloud of one class with one warm renderer."""

from pointspider.core.files import read_json
from pointspider.render.backends import Variant, activate
from pointspider.render.renderer import Renderer, RenderSettings, render_class
from pointspider.study.cloud_files import read_clouds
from pointspider.study.job import job

with job(snakemake.log[0]):
    activate(Variant(**read_json(snakemake.input.variants)["chosen"]), snakemake.threads)
    renderer = Renderer(RenderSettings(**snakemake.params.render, seed=snakemake.params.seed))
    render_class(renderer, read_clouds(snakemake.input.clouds), snakemake.output[0])
