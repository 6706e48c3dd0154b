"""The seconds of each path of Table V, their page and their plot."""

from pointspider.study.job import job
from pointspider.core.files import read_json, write_text
from pointspider.study.plots.search import plot_seconds
from pointspider.study.plots.style import save
from pointspider.study.tables.choice import choice_verdict
from pointspider.study.tables.pages import search_speed_page
from pointspider.study.tables.schemas import read_table, write_table
from pointspider.study.tables.search import renders_of, seconds_table

inputs, output = snakemake.input, snakemake.output
provenance = {**snakemake.params.provenance, "fit": choice_verdict(read_table(inputs.choice)).subject}

with job(snakemake.log[0]):
    renders = renders_of(read_table(inputs.speed), provenance["resolution"])
    seconds = read_table(inputs.seconds)
    table = seconds_table(seconds, renders)
    variant = str(renders["variant"].iloc[0])
    machine = {"variant": variant, **read_json(inputs.variants)[variant]}
    write_table(output.table, table)
    save(plot_seconds(table, provenance["preset"]), output.plot)
    write_text(output.page, search_speed_page(table, {**provenance, **machine}))
