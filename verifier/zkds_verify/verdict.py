"""What a verified proof says, as JSON and as text: docs/verdict.md."""

from hashlib import sha256
from math import log2, prod

from zkds_verify.certificate import UNIT, gap_of, value_of
from zkds_verify.shape_statement import evaluation_indices, probe_indices

KINDS = ("SAM", "ASAM")
WARNINGS = (
    ("saturated batches: a loss near 0 says nothing about sharpness", "saturated"),
    ("ratios below eps: eps makes up most of them", "below_eps"),
)


def chosen_by_prover(s, asked):
    pinned = {
        "model": asked.model_root or (asked.model and asked.network),
        "data": asked.root,
        "seed": asked.seed,
        "probe": asked.probe,
    }
    chosen = [name for name, given in pinned.items() if given is None]
    return chosen + ["evaluations"] * bool(s.evaluations and asked.evaluations is None)


def limits_of_probe(asked):
    of_probe = [limit[1:] for limit in asked.limits if limit[0] is None]
    return [next((limit[k] for limit in of_probe if limit[k] is not None), None) for k in range(2)]


def as_json(found, asked, size):
    s = found.statement
    max_loss, min_accuracy = limits_of_probe(asked)
    chosen = chosen_by_prover(s, asked)
    limits = {"value": asked.tau, "loss": max_loss, "accuracy": min_accuracy}
    without = [name for name, limit in limits.items() if limit is None]
    count, surplus = s.R * s.T * s.B, s.network.classes - s.schema.classes
    indices = [index for k in range(1, s.R + 1) for index in probe_indices(s, k)]
    value = float(value_of(s))
    word = "nothing pinned" if is_nothing_pinned(asked) else "valid" if chosen or without else "accepted"
    return {
        "verdict": word,
        "accepted": word == "accepted",
        "chosen_by_prover": chosen,
        "without_limit": without,
        "tau": number(asked.tau),
        "max_loss": number(max_loss),
        "min_accuracy": number(min_accuracy),
        "max_margin": number(asked.max_margin),
        "max_gap": number(asked.max_gap),
        "min_labels": asked.min_labels,
        "warnings": [text for text, name in WARNINGS if getattr(s, name)]
        + ["outputs of the network that no class has"] * bool(surplus)
        + [f"{found.vanishing} weights are 0 in the proof and not in the file"] * bool(found.vanishing),
        "value": None if s.threshold else value,
        "probes": s.R,
        "values": None if s.threshold else [shown / UNIT for shown in s.shown],
        "value_integers": None if s.threshold else s.shown,
        "threshold": value if s.threshold else None,
        "threshold_integer": s.shown[0] if s.threshold else None,
        "loss": s.loss / count / UNIT,
        "total_loss_integer": s.loss,
        "accuracy": s.correct / count,
        "correct": s.correct,
        "saturated": s.saturated,
        "below_eps": s.below_eps,
        "labels": s.distinct,
        "margin": s.margin,
        "surplus_classes": surplus,
        "samples": count,
        "batches": [indices[s.B * t : s.B * (t + 1)] for t in range(s.R * s.T)],
        "configuration": {
            "steps": s.T,
            "batch_size": s.B,
            "rho": str(s.rho),
            "learning_rate": str(s.lr),
            "eps": str(s.eps),
            "sharpness": KINDS[s.adaptive],
            "perturbation": KINDS[s.perturbs_adaptively],
        },
        "model": s.model.hex(),
        "private_model": s.private,
        "parameters": sum(map(prod, s.network.parameters.values())),
        "outputs": s.network.classes,
        "network": sha256(s.network_bytes).hexdigest(),
        "data_root": s.root.digest.hex(),
        "records": s.root.records,
        "schema": {
            "kind": "vector" if len(s.schema.shape) == 1 else "image",
            "shape": list(s.schema.shape),
            "element": ("uint8", "int16")[s.schema.element],
            "classes": s.schema.classes,
        },
        "evaluations": [evaluated(s, k, e) for k, e in enumerate(s.evaluations, 1)],
        "gap": number(gap_of(s)),
        "seed": s.seed.hex(),
        "seed_source": "given to the prover, as it says" if s.seed_given else "drawn by the prover",
        "mode": "plain" if found.plain else "zero-knowledge",
        "soundness_bits": -log2(sum(2.0**-bits for _, bits in found.terms)),
        "proof_bytes": size,
    }


def is_nothing_pinned(asked):
    pins = (asked.model, asked.model_root, asked.network, asked.root, asked.seed, asked.probe, asked.evaluations)
    limits = (asked.tau, asked.max_gap, asked.min_records, asked.min_labels, asked.max_margin, *asked.limits)
    return all(given is None for given in (*pins, *limits))


def number(value):
    return None if value is None else float(value)


def evaluated(s, k, e):
    return {
        "data_root": e.root.digest.hex(),
        "records": e.root.records,
        "samples": e.samples,
        "indices": evaluation_indices(s, k, e),
        "loss": e.loss / e.samples / UNIT,
        "total_loss_integer": e.loss,
        "accuracy": e.correct / e.samples,
        "correct": e.correct,
    }


def as_text(d):
    """Of `as_json`: lines."""
    shown = f"value {d['value']:.5g}" if d["threshold"] is None else f"value at most {d['threshold']:.5g}"
    limit = "" if d["tau"] is None else f" <= {d['tau']:.5g}"
    head = {"accepted": "ACCEPTED, ", "valid": "VALID, ", "nothing pinned": "VALID, NOTHING PINNED: "}[d["verdict"]]
    lines = [head + shown + limit]
    if d["chosen_by_prover"]:
        lines[0] += f"; chosen by the prover: {', '.join(d['chosen_by_prover'])}"
    elif d["without_limit"]:
        lines[0] += f"; no limit asked for: {', '.join(d['without_limit'])}"
    lines += [f"warning    {text}" for text in d["warnings"]]
    probe = d["configuration"]
    lines += [
        f"loss       {d['loss']:.6g} nats, mean over the probe's {d['samples']} records",
        f"accuracy   {d['correct']} of {d['samples']}",
        f"model      {d['model']}, {'root of a private model' if d['private_model'] else 'digest'}",
        f"network    {d['network']}, {d['parameters']} parameters, {d['outputs']} outputs",
        f"data root  {d['data_root']}, {d['records']} records",
        f"seed       {d['seed']}, {d['seed_source']}",
        "probe      " + ", ".join(f"{name}={value}" for name, value in probe.items()),
    ]
    for k, e in enumerate(d["evaluations"], 1):
        lines.append(
            f"evaluation {k}: loss {e['loss']:.6g} nats, {e['correct']} of {e['samples']} correct, of {e['data_root']}"
        )
    return [*lines, f"soundness  {d['soundness_bits']:.1f} bits, {d['mode']}"]
