"""The page that says what a study costs on a cluster, in sentences and tables."""

from __future__ import annotations

from gap.cluster.plan import Plan, by_family, without
from gap.cluster.plan_pretraining import planned_pretrainings
from gap.cluster.plan_tables import (
    amount,
    assumptions_of,
    assumptions_table,
    disk_table,
    hours_table,
    jobs_table,
    number,
    power_table,
    pretraining_table,
    rates_table,
    requests_table,
    sensitivity,
    share,
    totals,
    where,
)
from gap.results.outlook import POWER
from gap.study.sizes import parse_seeds

# Models that keep less of a GPU busy than this share it well with others.
BUSY = 0.05


def describe_study(plan: Plan, name: str) -> str:
    """Return the line that names the study and counts what is in it."""
    config = plan.config
    models, sizes = config["models"], config["sizes"]
    seeds = {sum(len(parse_seeds(b)) for b in plan.family(model).recipe.seeds) for model in models}
    trainings = sum(cell.count for cell in plan.cells)
    return (
        f"{name}: {len(config['datasets'])} data sets of {plan.value('rows'):,.0f} rows "
        f"x {len(models)} models x {len(sizes)} sizes ({', '.join(sizes)}) "
        f"x {' or '.join(map(str, sorted(seeds)))} seeds: {trainings:,} trainings in "
        f"{len(plan.cells):,} jobs of `train`.{describe_trials(plan)}"
    )


def describe_trials(plan: Plan) -> str:
    """Return a sentence on the models that have several trials a training, if there are any."""
    several = {model: plan.family(model).recipe.trials for model in plan.config["models"]}
    counts = [f"{model} {count}" for model, count in several.items() if count > 1]
    return f" Trials in a training, where there are several: {', '.join(counts)}." if counts else ""


def describe_rates(plan: Plan) -> str:
    """Return what was measured, where, and what the plan makes of it."""
    measured = plan.measured
    measurement = (
        f"Measured: {measured['processor']}, {measured['precision']}, {measured['date']}; a "
        f"product of large matrices reached {number(measured['peak'] / 1e9)} x 10^9 operations a "
        f"second on {where(plan)}. Speeds are those of full or of mixed texts, whichever was "
        "lower (benchmarks/RESULTS.md has both)."
    )
    if measured["device"] != "cpu":
        return f"{measurement} The rates of this plan are that GPU's."
    assumed = " ".join(assumption.text for assumption in assumptions_of(plan))
    return (
        f"{measurement}\n\n**No GPU has been measured.** {assumed} Where `--throughput` names "
        "what was measured on a GPU, the plan takes that in their place."
    )


def conclusion(plan: Plan) -> str:
    """Return the sentences for a person: what dominates, what to leave out, what a tenth costs."""
    whole, config = plan.hours(), plan.config
    networks = [model for model in config["models"] if plan.uses_gpu(model)]
    by_model = sorted(((plan.hours(model=model), model) for model in networks), reverse=True)
    first = ", ".join(f"{model} {share(hours, whole)}" for hours, model in by_model[:2])
    families = {
        family: sum(plan.hours(model=model) for model in models)
        for family, models in by_family(plan).items()
    }
    family = max(families, key=lambda name: families[name])
    disk = plan.disk()
    largest = max(disk, key=lambda name: disk[name])
    tenth = plan.assuming(rows=plan.value("rows") / 10)
    sentences = [
        f"**What dominates.** Of the GPU-hours: {first}; all models of the family {family} "
        f"together {share(families[family], whole)}.{idle(plan)} On disk: {largest}, "
        f"{share(disk[largest], sum(disk.values()))}.",
        f"**What to leave out first.** In GPU-hours: {savings(plan)}",
        f"**What a tenth costs.** The same study on a tenth of the rows: {number(tenth.hours())} "
        f"GPU-hours, {share(tenth.hours(), whole)}, and {amount(sum(tenth.disk().values()))} on "
        f"disk, in as many jobs. It is the way to find out whether this plan holds, and whether "
        "the rest is worth its price.",
    ]
    return "\n\n".join(sentences)


def idle(plan: Plan) -> str:
    """Return a sentence on models that are assumed to use little of a GPU, if there are any."""
    sentences = ""
    for assumption in assumptions_of(plan):
        models = [m for m in plan.config["models"] if plan.family(m).assumption() == assumption]
        shares = [plan.rate(model) / plan.value("gpu_peak") for model in models]
        if max(shares) < BUSY:
            sentences += (
                f" {assumption.models} are assumed to keep {min(shares):.1%} to {max(shares):.1%} "
                "of a GPU busy: several of them on one GPU, or larger batches, would cost less."
            )
    return sentences


def savings(plan: Plan) -> str:
    """Return what saves most: models but the reference, sizes but the ends, seeds, passes."""
    config, whole = plan.config, plan.hours()
    lists = [("models", [model for model in config["models"] if model != config["reference"]])]
    lists.append(("sizes", config["sizes"][1:-1]))
    other = {
        f"{name} out of the {key}": without(plan, key, name)
        for key, names in lists
        for name in names
    }
    zoo = {model: config["model_zoo"][model] for model in config["models"]}
    blocks = max(len(entry["seeds"]) for entry in zoo.values())
    if blocks > 3:
        fewer = {model: entry | {"seeds": entry["seeds"][:3]} for model, entry in zoo.items()}
        other[f"three blocks of seeds in place of {blocks}"] = plan.choosing(
            model_zoo=config["model_zoo"] | fewer
        )
    other["one pass through the rows"] = plan.one_pass()
    saved = sorted(((whole - fewer.hours(), name) for name, fewer in other.items()), reverse=True)
    best = [f"{name} saves {share(hours, whole)}" for hours, name in saved[:4] if hours > 0]
    return f"{'; '.join(best)}." if best else "Nothing saves any GPU-hours."


def describe_pretraining(plan: Plan) -> list[str]:
    """Return the part on checkpoints that the study pretrains; nothing where there are none."""
    pretrainings = planned_pretrainings(plan)
    if not pretrainings:
        return []
    return [
        "## Pretraining",
        "Checkpoints of the study's own are pretrained once, for all sizes and seeds. Their hours "
        "are on top of the GPU-hours above: those of one core, or of one GPU in its place. Rates "
        "are those of time limits, on the safe side, and no pretraining is taken to end early.",
        pretraining_table(pretrainings),
    ]


def page(plan: Plan, name: str) -> str:
    """Return the whole page."""
    parts = [
        "# What a study costs",
        f"scripts/plan_study.py wrote this page (`--configfile {name}`); do not edit it by hand. "
        "Each number is *measured* (on the machine that is named), *computed* (from the config and "
        "the other two, by gap.cluster.plan and gap.cluster.work) or *assumed* (in the table of "
        "assumptions).",
        describe_study(plan, name),
        totals(plan),
        "## In short",
        conclusion(plan),
        "## GPU-hours",
        hours_table(plan),
        "Core-hours of preparing, encoding and fitting vocabularies are not in it.",
        *describe_pretraining(plan),
        "## What it can tell",
        f"The smallest gap that {POWER:.0%} of studies with these seeds and test rows tell, alone "
        "among gaps; with many gaps it takes more.",
        power_table(plan),
        "## If an assumption is wrong",
        sensitivity(plan),
        "## How fast",
        describe_rates(plan),
        rates_table(plan),
        "## Assumptions",
        assumptions_table(plan),
        "## What jobs ask for",
        "Memory and time limits are on the safe side, by the rates of gap.cluster.work, not by "
        "those of this plan.",
        requests_table(plan),
        "## Disk",
        disk_table(plan),
        "Finished work has a second name (a hard link) under .state; where a file system has no "
        "hard links, it takes its room once more.",
        "## Jobs and files",
        jobs_table(plan),
    ]
    return "\n\n".join(parts) + "\n"
