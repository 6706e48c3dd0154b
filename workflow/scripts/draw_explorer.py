"""The page to explore: maps of the test clouds, what the CLIPs answer, neighbours, and the tables."""

from pathlib import Path

from pointspider.study.job import job
from pointspider.core.files import read_csv, write_text
from pointspider.study.embeddings import read_embeddings, read_prompts
from pointspider.study.evaluate.maps import choose_shown
from pointspider.study.explorer import clip_answers, explorer_page
from pointspider.study.renders import read_renders
from pointspider.study.search_predictor import load_chosen
from pointspider.study.tables.schemas import read_table

inputs, params = snakemake.input, snakemake.params

with job(snakemake.log[0]):
    manifest = choose_shown(read_csv(inputs.test, ["cloud_id", "class", "object", "corruption", "severity"]))
    ids = manifest["cloud_id"].tolist()
    images = dict(zip(params.clips, inputs.images, strict=True))
    points = read_embeddings(inputs.points, "global", ids)
    predictor, predict = load_chosen(inputs.choice, Path(inputs.fits).parent, params.seed)
    made = {**params.made, "mapped": f"{predictor} of {params.made['points']}"}
    embeddings = {
        "mapped": predict(points),
        "renders": read_embeddings(images[params.image_model], params.layer, ids),
        "points": points,
    }
    answers = [
        clip_answers(
            clip, read_embeddings(images[clip], "projected", ids), *read_prompts(prompts, params.style)
        )
        for clip, prompts in zip(params.clips, inputs.prompts, strict=True)
    ]
    tables = {title: read_table(path) for title, path in zip(params.titles, inputs.tables, strict=True)}
    pictures = read_renders(Path(inputs.renders[0]).parent, ids)
    page = explorer_page(manifest, pictures, embeddings, answers, tables, made)
    write_text(snakemake.output[0], page)
