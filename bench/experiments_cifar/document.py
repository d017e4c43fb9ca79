"""The generated part of docs/experiments.md, between <!-- cifar --> and <!-- end cifar -->: every table with what it shows."""

from __future__ import annotations

import json
import re
from pathlib import Path

from bench.experiments.harness import markdown

DOCUMENT = Path("docs/experiments.md")
RESULTS = Path("bench/results/experiments-cifar.json")
PICTURE = Path("docs/images/trajectories-cifar.png")
PLACE = re.compile(r"<!-- cifar -->\n.*?<!-- end cifar -->", re.DOTALL)

SECTIONS = {
    "table 1": (
        "Correlation with the gap, at a loss of 0.01 (Table 1)",
        "The paper, over 1,152 models of VGG-13 to 19-BN: directional sharpness has the highest of all three coefficients. "
        "Models that do not reach the loss are left out, as there.",
    ),
    "table 1, end": ("The same models at the end of training", "Not in the paper, which stops at the loss."),
    "table 2": (
        "Training deviations (Table 2)",
        "The paper, one pair each: in all five the ratio of F is well below 1 and that of static ASAM nearer to 1. * marks its "
        "point of comparison; it measures on clean labels, while a prover commits to the model's own. The small test set is "
        "100 test images picked so that both models have 90 (paper: 88 % and 75 % on all test images).",
    ),
    "effects": (
        "What the deviations do",
        "The paper's quantization costs the SAM model 0.006 and the SGD model 0.025 of accuracy.",
    ),
    "table 3": (
        "Runtime (Table 3)",
        "Seconds of one core. The paper, on an A100 and VGG-16-BN: 0.21 s for directional sharpness at (8, 5), 0.92 s for test "
        "accuracy, and the highest Kendall coefficient for directional sharpness.",
    ),
    "table 4": (
        "Membership inference (Table 4)",
        "The paper, on one VGG-16-BN, 1,000 members and 1,000 others: directional sharpness has the highest AUC and accuracy.",
    ),
    "table 5": (
        "SGD and SAM over the last epochs (Table 5, Figure 1)",
        "The paper, after 150 epochs: gap 0.273 (SGD) and 0.205 (SAM); F is lower for SAM at every epoch, static ASAM is not.",
    ),
    "table 7": (
        "Further deviations (Table 7)",
        "The paper: F has the lowest ratio in all. Its sharpness-aware poisoning and language models are not tried here.",
    ),
    "trend": ("Wider networks, more images", "The first pairs with twice the width, and with all of the training images."),
    "best": (
        "What predicts best at this cost",
        "Each predictor judged on the half of the models that its sign was not chosen by, over 200 splits (mean ± standard "
        "deviation), and the share of splits in which it was the best on the first half. The last row is what choosing gives.",
    ),
}


def with_results(text: str, results: Path) -> str:
    """The document with every table as the results have it; as it is if there are none."""
    if not results.exists():
        return text
    report = json.loads(results.read_text(encoding="utf-8"))
    parts = [f"{report['trained']} of {report['planned']} models trained.\n"]
    for name, (title, words) in SECTIONS.items():
        rows = report["tables"][name]
        parts.append(f"### {title}\n\n{words}\n\n{markdown(rows) if rows else 'Not measured yet.' + chr(10)}")
        if name == "table 5" and rows:
            parts.append(f"![Sharpness along the probes, SGD and SAM](images/{PICTURE.name})\n")
    body = "\n".join(parts)
    return PLACE.sub(lambda _: f"<!-- cifar -->\n{body}<!-- end cifar -->", text)
