"""The predictor that search uses, from the table `choice` of `pointspider.study.evaluate.choice`."""

import numpy as np
import pandas as pd

from pointspider.study.tables.verdicts import Decision, Verdict

#: What chooses it, in words.
CRITERION = "mean reciprocal rank of left-out training clouds, image → cloud"


def choose(scores: pd.DataFrame) -> pd.DataFrame:
    """Average the folds of the table `choice`.

    Returns:
        A row per predictor, the best first: predictor, n (queries), reciprocal_rank, skill. A candidate that
        diverged in a fold is last, and its measures are missing. The first is "encoder" if the point encoder
        embeds into the space of the images: it needs no predictor, so none is fitted to these clouds.
    """
    means = [
        {
            "predictor": name,
            "n": int(own["n"].sum()),
            **{
                measure: np.average(own[measure], weights=own["n"])
                for measure in ("reciprocal_rank", "skill")
            },
        }
        for name, own in scores.groupby("predictor", sort=False)
    ]
    frame = pd.DataFrame(means)
    frame = frame.sort_values("reciprocal_rank", ascending=False, kind="stable", ignore_index=True)
    return frame.sort_values(
        "predictor", key=lambda name: name != "encoder", kind="stable", ignore_index=True
    )


def choice_verdict(scores: pd.DataFrame) -> Verdict:
    """Which predictor search uses, from the table `choice`."""
    means = choose(scores)
    known = means.dropna(subset="reciprocal_rank")
    figures = {
        "folds": int(scores["fold"].nunique()),
        "n": int(means["n"].iloc[0]),
        "scores": dict(zip(known["predictor"], known["reciprocal_rank"], strict=True)),
        "diverged": list(means.loc[means["reciprocal_rank"].isna(), "predictor"]),
    }
    return Verdict(str(means["predictor"].iloc[0]), "choice", Decision.BETTER, figures)
