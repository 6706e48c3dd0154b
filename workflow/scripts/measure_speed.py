"""Time the reference procedure and ours, in every Mitsuba variant, with the machine to themselves."""

import numpy as np

from pointspider.clouds.dataset import read_clouds
from pointspider.job import job
from pointspider.render.renderer import RenderSettings
from pointspider.render.speed import measure
from pointspider.render.variants import Variant
from pointspider.storage import read_json, write_csv

params = snakemake.params
