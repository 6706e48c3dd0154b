"""Render every cloud of one class with one warm renderer."""

from pathlib import Path

from pointspider.study.job import job
from pointspider.core.files import write_json
from pointspider.render.backends import activate, choose
from pointspider.render.renderer import Renderer
from pointspider.render.settings import RenderSettings
from pointspider.study.cloud_files import read_clouds
from pointspider.study.render_class import render_class

with job(snakemake.log[0]):
    settings = dict(snakemake.params.render)
    variant, layout = choose(settings.pop("variant")), settings.pop("layout")
    activate(variant, snakemake.threads)
    renderer = Renderer(RenderSettings(**settings, seed=snakemake.params.seed))
    render_class(renderer, read_clouds(snakemake.input.clouds), snakemake.output[0], layout)
    used = {"variant": variant.name, "device": variant.device}
    write_json(Path(snakemake.output[0]) / "render.json", used)
