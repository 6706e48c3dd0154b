"""The pages of the report: which files they show, in which category, with which title and caption."""

from pathlib import Path
from typing import NamedTuple


class Page(NamedTuple):
    """A page of the report. The report sorts the titles of a category by the alphabet."""

    category: str
    title: str
    caption: str

    def path(self, source: str) -> str:
        """Path of the page in the directory of pages."""
        return f"{self.category}/{Path(source).stem}.html"


FINDINGS, TABLES, PLOTS, SHEETS, RUN = "Findings", "Tables", "Plots", "Contact sheets", "Run"

#: By the path of the file in results/<preset>/.
PAGES = {
    "tables/summary.md": Page(
        FINDINGS, "Tables II and III: summary", "What Tables II and III show, and their figures."
    ),
    "speed/table1.md": Page(FINDINGS, "Table I: summary", "What Table I shows, and its figures."),
    "speed/table5_seconds.md": Page(
        FINDINGS, "Table V: times", "The times of Table V, and how they were measured."
    ),
    "speed/table1.csv": Page(
        TABLES, "Table I: rendering speed", "Points per second of each Mitsuba variant and method."
    ),
    "speed/speed_measures.csv": Page(
        TABLES, "Table I: every measure", "Speed, CPU time and error of each method, with 95 % intervals."
    ),
    "tables/table2.csv": Page(
        TABLES,
        "Table II: zero-shot classification",
        "Accuracy of each CLIP on the renders of a Double Roulette draw, and of all test clouds.",
    ),
    "tables/zero_shot.csv": Page(
        TABLES,
        "Table II: every measure",
        "Accuracy by model, style of prompts and set of clouds, with intervals.",
    ),
    "tables/model_pairs.csv": Page(
        TABLES,
        "Table II: pairs of models",
        "Clouds that one model of a pair classifies and the other does not, with McNemar's exact test.",
    ),
    "tables/zero_shot_corruptions.csv": Page(
        TABLES, "Table II: by corruption", "Accuracy of each model on the test clouds of a corruption level."
    ),
    "tables/table3.csv": Page(
        TABLES,
        "Table III: alignment",
        "Mean L1 between predicted and real image embeddings; L1DIV is its inverse, higher is better.",
    ),
    "tables/alignment.csv": Page(
        TABLES,
        "Table III: every measure",
        "Distance, retrieval and classification of each predictor, for both splits.",
    ),
    "tables/gains.csv": Page(
        TABLES, "Table III: differences", "L1 of each mapper minus that of a baseline, by seed."
    ),
    "tables/predictors.csv": Page(
        TABLES, "Table III: fits", "What the fit of each predictor chose, and the epoch of least test loss."
    ),
    "mappers/choice.csv": Page(
        TABLES,
        "Table III: choice of a predictor",
        "How well each predictor retrieves training clouds that were left out.",
    ),
    "tables/splits.csv": Page(TABLES, "Table III: splits", "Clouds and objects of each split."),
    "tables/alignment_corruptions.csv": Page(
        TABLES, "Table III: by corruption", "Measures of each predictor on the clouds of a corruption level."
    ),
    "tables/table5.csv": Page(
        TABLES, "Table V: search", "Search by renders, by point features and by mapped clouds."
    ),
    "tables/search.csv": Page(
        TABLES, "Table V: every measure", "Measures of each path of search, by corruption level."
    ),
    "tables/search_differences.csv": Page(
        TABLES, "Table V: differences", "Measures of one path minus those of another."
    ),
    "evaluations/search/duplicates.csv": Page(
        TABLES, "Table V: duplicates", "Recall and precision of duplicates, by severity."
    ),
    "speed/table5_seconds.csv": Page(
        TABLES, "Table V: times", "Seconds of each step from a cloud to an embedding."
    ),
    "speed/speed.svg": Page(PLOTS, "Table I: rendering speed", "Points per second, on a log scale."),
    "plots/zero_shot.svg": Page(
        PLOTS, "Table II: accuracy", "Zero-shot accuracy of each CLIP, with 95 % intervals."
    ),
    "plots/corruptions.svg": Page(
        PLOTS, "Table II: by corruption", "Zero-shot accuracy at each severity of each corruption."
    ),
    "plots/alignment.svg": Page(
        PLOTS, "Table III: mean L1", "Mean L1 of each predictor on the test clouds; lower is better."
    ),
    "plots/retrieval.svg": Page(
        PLOTS, "Table III: retrieval", "How often a prediction finds its render, and a render its prediction."
    ),
    "plots/alignment_corruptions.svg": Page(
        PLOTS, "Table III: by corruption", "Skill of each predictor at each severity of each corruption."
    ),
    "plots/loss_curves.svg": Page(
        PLOTS, "Table III: loss curves", "Training and test loss of the mappers by epoch, all seeds."
    ),
    "plots/search.svg": Page(PLOTS, "Table V: search", "Measures of each path of search, by severity."),
    "plots/duplicates.svg": Page(PLOTS, "Table V: duplicates", "Recall and precision of duplicates."),
    "speed/table5_seconds.svg": Page(PLOTS, "Table V: times", "Seconds of each step, by path of search."),
    "sheets/classes.png": Page(SHEETS, "Classes", "A clean cloud of every class."),
    "sheets/corruptions.png": Page(SHEETS, "Corruptions", "One object at every corruption level."),
    "sheets/renders.png": Page(SHEETS, "Renders", "The first Double Roulette draw: a render of every class."),
    "metrics.json": Page(
        RUN, "Metrics", "Metrics of the mapper that mapper.norm selects, and of the best CLIP."
    ),
}

#: Pages without a file in results/, by the name of their page.
RUN_PAGES = {
    "parameters": Page(RUN, "Parameters", "Every parameter of the preset, as the run resolved it."),
    "versions": Page(RUN, "Versions", "The machine, the commit, and the packages that wrote these pages."),
    "benchmarks": Page(
        RUN, "Benchmarks", "Wall time, CPU time and peak memory of each job that Snakemake measured."
    ),
}

#: Title and caption by category and stem, as Snakemake's report looks them up.
ENTRIES = {
    f"{page.category}/{Path(source).stem}": page for source, page in (*PAGES.items(), *RUN_PAGES.items())
}
