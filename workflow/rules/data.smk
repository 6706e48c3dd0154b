# Clouds and manifests.
#
# INPUTS    params: clouds, alignment, test, roulette, seeds; the files of the source of clouds
# OUTPUTS   objects.csv                  every object: class, object, role
#           manifests/<name>.csv         the clouds that each step uses
#           clouds/<class>.h5            those clouds, a group per corruption level
# STEPS     list_objects -> draw_manifests -> build_clouds (one job, which takes less than starting one per class; of a
#           folder one per class)

from pointspider.study.objects import list_objects
from pointspider.study.manifests import draw_manifests, used_clouds

DRAWS = {
    "corruptions": PARAMS.clouds.corruptions,
    "severities": PARAMS.clouds.severities,
    "encoder_variants": PARAMS.clouds.encoder_variants,
    "alignment": dump(PARAMS.alignment, "clouds", "split", "held_out_classes"),
    "test": PARAMS.test.clouds,
    "repeats": PARAMS.roulette.repeats,
    "seeds": dump(PARAMS.seeds, "alignment", "split", "test", "roulette", "encoders"),
}
# The clouds of each class of a folder, {class: clouds}, a parameter of its job. Users add, rename and remove files of a
# folder. So that only the classes change that need to, their jobs do not read the manifests, which are of all classes.
USED = {}
try:
    if PARAMS.clouds.source == "folder":
        listed = list_objects(dump(PARAMS.clouds), PARAMS.seeds.objects)
        USED = used_clouds(draw_manifests(listed, **DRAWS).values())
except InputError as error:
    raise WorkflowError(str(error)) from None


rule list_objects:
    input:
        source_files,
    output:
        f"{RESULTS}/objects.csv",
    log:
        f"{LOGS}/list_objects.log",
    conda:
        "../../envs/report.yaml"
    params:
        clouds=dump(PARAMS.clouds),
        seed=PARAMS.seeds.objects,
        code=code("list_objects", *SOURCE_CODE),
    message:
        "list the objects of the source '{params.clouds[source]}'"
    script:
        "../scripts/list_objects.py"


rule draw_manifests:
    input:
        objects=rules.list_objects.output[0],
    output:
        **MANIFESTS,
    log:
        f"{LOGS}/draw_manifests.log",
    conda:
        "../../envs/report.yaml"
    params:
        draws=DRAWS,
        code=code("draw_manifests"),
    message:
        "draw the clouds to align, evaluate and train on"
    script:
        "../scripts/draw_manifests.py"


rule build_clouds:
    input:
        source_files,
        manifests=[] if USED else rules.draw_manifests.output,
    output:
        f"{RESULTS}/clouds/{{class_name}}.h5" if USED else CLOUDS,
    log:
        f"{LOGS}/build_clouds/{{class_name}}.log" if USED else f"{LOGS}/build_clouds.log",
    benchmark:
        f"{BENCHMARKS}/build_clouds/{{class_name}}.tsv"
        if USED
        else f"{BENCHMARKS}/build_clouds.tsv"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        clouds=dump(PARAMS.clouds),
        seeds=dump(PARAMS.seeds, "objects", "corruptions"),
        classes=lambda wildcards: [wildcards.class_name] if USED else CLASSES,
        used=lambda wildcards: {wildcards.class_name: USED[wildcards.class_name]} if USED else None,
        code=code("build_clouds", *SOURCE_CODE, *CORRUPTION_CODE),
    message:
        "build the clouds of {wildcards.class_name}" if USED else "build the clouds of every class"
    script:
        "../scripts/build_clouds.py"


rule data:
    input:
        rules.list_objects.output,
        rules.draw_manifests.output,
        CLOUDS,
