"""Embed clouds and store them in an index, for search and duplicates.

Clouds that the index already has are skipped if their files have not changed. An interrupted command
continues when it is run again.
"""

import argparse
import csv
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pointspider.core.errors import InputError

if TYPE_CHECKING:
    from pointspider.index.models import Models
    from pointspider.index.results import Report

#: Arguments that describe models, except the predictor, which may be one of a run.
MODELS = ("encoder", "checkpoint", "points", "clip", "backend", "layer", "prompt", "precision")
#: Skipped files that are listed on the terminal; DIR/skipped.csv has all.
LISTED = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "clouds", nargs="*", type=Path, metavar="CLOUDS", help="files or folders of clouds, y up"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="directory of the index"
    )
    parser.add_argument(
        "--from-run",
        metavar="PRESET",
        help="use the models of a finished run; without CLOUDS, index its clouds",
    )
    parser.add_argument("--encoder", help="point encoder (pointnet, …)")
    parser.add_argument("--checkpoint", type=Path, help="its weights")
    parser.add_argument("--points", type=int, help="points per cloud (default: the encoder's, or 1024)")
    parser.add_argument(
        "--predictor",
        help="file of a predictor; with --from-run its name (default: the one that the run chose)",
    )
    parser.add_argument(
        "--clip", type=Path, help="directory of the CLIP that the predictor or encoder maps to"
    )
    parser.add_argument("--backend", help="of the CLIP: open_clip (default) or transformers")
    parser.add_argument("--layer", choices=["pooled", "projected"], help="of the CLIP")
    parser.add_argument(
        "--prompt",
        help="what words are put into, such as 'a 3D model of a {class}' (default: 'a {class}', which leaves "
        "them as they are; with --from-run the prompt of the run)",
    )
    parser.add_argument(
        "--precision",
        choices=["fp32", "bf16"],
        help="of the point encoder (default: fp32); bf16 is faster where the hardware multiplies in it",
    )
    parser.add_argument("--device", default="auto", help="auto (default), cpu or cuda")
    parser.add_argument("--prune", action="store_true", help="remove clouds whose files no longer exist")
    parser.add_argument("--no-calibration", action="store_true", help="do not calibrate --threshold auto")
    parser.add_argument(
        "--verify", action="store_true", help="compare the checksum of every file of the index"
    )


def run(options: argparse.Namespace) -> None:
    """Build or extend the index, and report on stderr."""
    from pointspider.index.calibrate import report as describe
    from pointspider.index.clouds import require_paths
    from pointspider.index.index import Index

    if options.points is not None and options.points < 1:
        raise InputError(f"--points: {options.points} is not a number of points; give 1 or more.")
    require_paths(options.clouds)
    models, reports = _models(options), []
    if models is None and not (options.output / "index.json").is_file():
        raise InputError(
            f"{options.output}: is not an index yet. Give --from-run, or --encoder and --checkpoint, to "
            "build one."
        )
    index = Index.create(options.output, models)
    if options.clouds:
        reports.append(index.add(options.clouds, calibrate=not options.no_calibration, prune=options.prune))
    elif options.from_run:
        from pointspider.cli.run_index import load_params, rows_of_run

        params = load_params(options, options.from_run)
        reports.append(index.add_rows(rows_of_run(options.project, params, index.models)))
        index.calibrate_by_versions()
    elif not options.verify:
        raise InputError("give the clouds to index, or --from-run.")
    if options.verify:
        index.store.verify()
        print(f"{options.output}: all checksums match", file=sys.stderr)
    for report in reports:
        _print_report(options.output, report)
    print(f"{len(index)} clouds: {index.models.description.space}", file=sys.stderr)
    if index.store.calibration:
        print(describe(index.store.calibration), file=sys.stderr)


def _models(options: argparse.Namespace) -> "Models | None":
    """Models that the arguments describe; None if there are no such arguments."""
    from pointspider.index.models import Models

    given = {name: getattr(options, name) for name in MODELS if getattr(options, name) is not None}
    if options.from_run:
        from pointspider.cli.run_index import load_params, models_of_run

        if given:
            raise InputError(f"--{next(iter(given))}: --from-run chooses the models; leave one of them out.")
        params = load_params(options, options.from_run)
        return models_of_run(options.project, params, options.predictor, options.device)
    if options.encoder is None:
        return None
    if options.checkpoint is None:
        raise InputError("--encoder needs the weights: give --checkpoint.")
    return Models.of(**given, predictor=options.predictor, device=options.device)


def _print_report(directory: Path, report: "Report") -> None:
    from pointspider.core.files import write_text

    print(report, file=sys.stderr)
    if report.skipped:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([("path", "reason"), *report.skipped])
        write_text(directory / "skipped.csv", text.getvalue())
    for path, reason in report.skipped[:LISTED]:
        print(f"  skipped {reason if reason.startswith(path) else f'{path}: {reason}'}", file=sys.stderr)
    if len(report.skipped) > LISTED:
        print(f"  … and {len(report.skipped) - LISTED} more, see {directory}/skipped.csv", file=sys.stderr)
