# Embeddings of every cloud that is aligned or evaluated, of its render, and of the prompts.
#
# INPUTS    manifests/{alignment,test,roulette}.csv, clouds/<class>.h5, renders/<class>/, encoders/<name>/ or published weights
# OUTPUTS   embeddings/points/<class>.h5           the point encoder's global feature
#           embeddings/images/<clip>/<class>.h5    layers pooled and projected
#           embeddings/prompts/<clip>.h5           what each class is asked, in every style
#           embeddings/projections/<clip>.h5       the matrix from pooled to projected
# STEPS     embed_points, embed_images (one job per model: loading it costs more than embedding a class)


rule embed_points:
    input:
        manifests=EVALUATED,
        clouds=expand(rules.build_clouds.output, class_name=CLASSES),
        model=point_checkpoint(),
        code=code("embed_points"),
    output:
        expand(f"{RESULTS}/embeddings/points/{{class_name}}.h5", class_name=CLASSES),
    log:
        f"{LOGS}/embed_points.log",
    conda:
        "../../envs/learn.yaml"
    threads: 1
    params:
        name=PARAMS["encoders"]["points"]["name"],
        preset=PARAMS["preset"],
    script:
        "../scripts/embed_points.py"


rule embed_images:
    input:
        manifests=EVALUATED,
        clouds=expand(rules.build_clouds.output, class_name=CLASSES),
        renders=expand(rules.render_class.output, class_name=CLASSES),
        weights=clip_weights,
        commit=ancient(clip_commit),  # a parameter tells when it has changed
        code=code("embed_images"),
    output:
        images=expand(
            f"{RESULTS}/embeddings/images/{{{{clip}}}}/{{class_name}}.h5", class_name=CLASSES
        ),
        prompts=f"{RESULTS}/embeddings/prompts/{{clip}}.h5",
        projection=f"{RESULTS}/embeddings/projections/{{clip}}.h5",
    log:
        f"{LOGS}/embed_images/{{clip}}.log",
    conda:
        "../../envs/learn.yaml"
    threads: clip_threads
    params:
        classes=CLASSES,
        clip=clip_settings,
        revision=clip_revision,
        zero_shot={key: PARAMS["zero_shot"][key] for key in ("prompt", "templates")},
        preset=PARAMS["preset"],
    script:
        "../scripts/embed_images.py"


rule embed:
    input:
        rules.embed_points.output,
        expand(rules.embed_images.output, clip=CLIPS),
