# Regenerate Tables I-III of the paper, and Table V, what search gains without a render.
#
#   snakemake --cores all                         the preset of params.yaml
#   snakemake --cores all --config preset=paper   the paper
#   snakemake --cores all table4                  Table IV: other point encoders
#
# INPUTS    params.yaml, data/sources.csv
# OUTPUTS   results/<preset>/{tables,plots,sheets,speed}/, results/<preset>/metrics.json
# STEPS     data -> points; data -> render -> images; both -> map -> tables: a file of rules for each phase in workflow/rules/.
#           Each phase has a target rule (data, render, speed, points, images, map, tables, select) for dvc.yaml.

from snakemake.utils import min_version

min_version("9.0")


configfile: f"{workflow.basedir}/params.yaml"


# For --sdm apptainer: envs/apptainer.def
container: f"{workflow.basedir}/pointspider.sif"


include: "workflow/rules/common.smk"
include: "workflow/rules/slurm.smk"


from pointspider.core.files import remove_temporaries
from pointspider.study.job import announce_workflow
from pointspider.study.slurm import impossible_requests, running_jobs

announce_workflow()


report: "workflow/report/workflow.rst"


onstart:
    if workflow.is_main_process and (jobs := running_jobs(Path.cwd())):
        raise WorkflowError(
            f"Slurm jobs of an earlier run are still in the queue: {' '.join(jobs)}. Wait for them, or cancel "
            f"them with `scancel {' '.join(jobs)}`, then run again."
        )
    if workflow.is_main_process and workflow.executor_plugin.name == "slurm":
        requests = {job.rule.name: job.resources for job in workflow.dag.needrun_jobs()}
        if problems := impossible_requests(requests):
            raise WorkflowError(
                *problems,
                "Change `cores` or `set-resources` in profiles/slurm/config.yaml.",
            )
    if workflow.is_main_process:
        remove_temporaries(RESULTS)  # of a killed run


rule all:
    input:
        f"{RESULTS}/tables/summary.md",
        f"{RESULTS}/metrics.json",
        f"{RESULTS}/speed/table1.csv",
        f"{RESULTS}/speed/table5_seconds.csv",
        f"{RESULTS}/explorer.html",


include: "workflow/rules/fetch.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/render.smk"
include: "workflow/rules/speed.smk"
include: "workflow/rules/points.smk"
include: "workflow/rules/images.smk"
include: "workflow/rules/map.smk"
include: "workflow/rules/alignment.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/search_speed.smk"
include: "workflow/rules/explorer.smk"
include: "workflow/rules/sheets.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/table4_encoders.smk"
include: "workflow/rules/table4.smk"
