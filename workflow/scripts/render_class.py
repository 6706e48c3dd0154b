"""Render every cloud of one class with one warm renderer."""

from pointspider.clouds.files import read_clouds
from pointspider.job import job
from pointspider.render.renderer import Renderer, RenderSettings, render_class
from pointspider.render.variants import Variant, activate
from pointspider.storage import read_json

with job(snakemake.log[0]):
    activate(Variant(**read_json(snakemake.input.variants)["chosen"]), snakemake.threads)
    renderer = Renderer(RenderSettings(**snakemake.params.render, seed=snakemake.params.seed))
    render_class(renderer, read_clouds(snakemake.input.clouds), snakemake.output[0])
