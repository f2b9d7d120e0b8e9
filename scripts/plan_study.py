"""Write on a page what a study costs on a cluster: GPU-hours, disk, files, jobs.

Nothing is fetched or trained. What no config says is read from a file of assumptions. How fast
models train is read from what benchmarks/throughput.py measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from gap.cluster.plan import Plan, by_family, without
from gap.config import check as config_module
from gap.models.workload import Assumption
from gap.run.errors import UserError
from gap.run.json import read_json
from gap.run.program import run
from gap.study.sizes import parse_seeds

ROOT = Path(__file__).resolve().parents[1]
# GPUs that one training may ask for in the table of requests, as in the profile for SLURM.
MOST_GPUS = 8
# Models that keep less of a GPU busy than this share it well with others.
BUSY = 0.05

# ---------------------------------------------------------------- what the plan is made from


def read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected keys and values, as in docs/assumptions.yaml")
    return content


def lay_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return `below` with what `above` says otherwise, as Snakemake does with --configfile."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, dict) and isinstance(under, dict):
            merged[key] = lay_over(under, value)
        else:
            merged[key] = value
    return merged


def load_study(path: Path) -> dict[str, Any]:
    """Return a study's config, over that of config.yaml, with its defaults filled in."""
    config = lay_over(read_yaml(ROOT / "config.yaml"), read_yaml(path))
    config_module.complete(config)
    return config


# ---------------------------------------------------------------- numbers and tables


def number(value: float) -> str:
    """Return a number with the two or three digits that a plan is good for."""
    whole = round(value)
    return f"{round(whole, 3 - len(str(whole))):,}" if whole >= 100 else f"{value:.2g}"


def exact(value: float) -> str:
    """Return a number as it is."""
    if value >= 1e12:
        return f"{value / 1e12:g} x 10^12"
    return f"{value:,}" if value >= 0.001 else f"{value * 1e6:g} x 10^-6"


def amount(size: float) -> str:
    """Return bytes in the unit that suits them."""
    units = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
    name, factor = next((unit for unit in units if size >= unit[1]), units[-1])
    return f"{number(size / factor)} {name}"


def share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "0%"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# ---------------------------------------------------------------- the parts of the page


def describe_study(plan: Plan, name: str) -> str:
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


def totals(plan: Plan) -> str:
    """Return the totals, before all else."""
    on_gpus, at_once = plan.hours(), plan.value("gpus")
    jobs, files = plan.jobs(), plan.files()
    disk = sum(plan.disk().values())
    longest = max(
        (plan.seed_hours(cell) * cell.count, cell.model, cell.size)
        for cell in plan.cells
        if plan.uses_gpu(cell.model)
    )
    rows = [
        ["GPU-hours", number(on_gpus)],
        ["core-hours of models that need no GPU", number(plan.hours(on_gpu=False))],
        [f"days on {at_once:.0f} GPUs, all of them always busy", number(on_gpus / at_once / 24)],
        [f"the longest job on one GPU, hours ({longest[1]}, {longest[2]})", number(longest[0])],
        ["disk at the end", amount(disk)],
        [
            f"checkpoints of {at_once:.0f} trainings at once, on top",
            amount(plan.checkpoint_bytes()),
        ],
        ["files at the end", f"{sum(files.values()):,}"],
        ["jobs", f"{sum(jobs.values()):,}"],
    ]
    return table(["in all (computed)", ""], rows)


def hours_table(plan: Plan) -> str:
    """Return the table of hours, a row for each model, a column for each size."""
    sizes = plan.config["sizes"]
    rows = []
    for model in plan.config["models"]:
        on_gpu = plan.uses_gpu(model)
        hours = [plan.hours(on_gpu, model=model, size=size) for size in sizes]
        name = model if on_gpu else f"{model} (core-hours)"
        rows.append([name, *map(number, hours), number(sum(hours))])
    hours = [plan.hours(size=size) for size in sizes]
    rows.append(["**all, GPU-hours**", *map(number, hours), f"**{number(sum(hours))}**"])
    return table(["GPU-hours (computed)", *sizes, "all sizes"], rows)


def rates_table(plan: Plan) -> str:
    """Return the table of what was measured, and of the rates that the plan makes of it."""
    rows = []
    dataset = plan.config["datasets"][0]
    for model in plan.config["models"]:
        everything, products = plan.parameters(model, dataset)
        sizes = [number(everything / 1e6), number(products / 1e6)]
        speed, rate = number(plan.speed(model) / 1e9), number(plan.rate(model) / 1e12)
        if plan.uses_gpu(model):
            cells = [*sizes, speed, f"{plan.share(model):.0%}"]
            cells.append(f"{origin(plan, model)}: {rate} x 10^12")
        else:
            cells = [sizes[0], "", speed, "", f"measured: {speed} x 10^9 on a core"]
        rows.append([model, *cells])
    return table(
        [
            "model",
            "parameters, 10^6 (computed)",
            "of these in each token's products (computed)",
            f"10^9 operations a second on {where(plan)} (measured)",
            "share of its peak (measured)",
            "operations a second in this plan",
        ],
        rows,
    )


def where(plan: Plan) -> str:
    return "one core" if plan.measured["device"] == "cpu" else "the GPU"


def origin(plan: Plan, model: str) -> str:
    """Return how a rate of the plan came about."""
    assumption = plan.family(model).assumption()
    return assumption.origin if assumption and plan.measured["device"] == "cpu" else "measured"


def assumptions_of(plan: Plan) -> list[Assumption]:
    """Return what is assumed of GPUs as long as none was measured, each once."""
    if plan.measured["device"] != "cpu":
        return []
    assumptions = [plan.family(model).assumption() for model in plan.config["models"]]
    return list(dict.fromkeys(filter(None, assumptions)))


def describe_rates(plan: Plan) -> str:
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


def assumptions_table(plan: Plan) -> str:
    used = {
        name: assumed
        for name, assumed in plan.assumptions["values"].items()
        if plan.measured["device"] == "cpu" or not assumed.get("of_gpus", False)
    }
    rows = [
        [f"`{name}`", exact(assumed["value"]), assumed["unit"], " ".join(assumed["source"].split())]
        for name, assumed in used.items()
    ]
    rows += [
        [f"`max_epochs` of {', '.join(models)}", passes, "passes through the rows", "the recipes"]
        for passes, models in passes_by_models(plan).items()
    ]
    rows.append(["early stopping", "never", "", "on the safe side"])
    return table(["assumed", "value", "unit", "source"], rows)


def passes_by_models(plan: Plan) -> dict[str, list[str]]:
    models: dict[str, list[str]] = {}
    for model in plan.config["models"]:
        if passes := plan.passes(model):
            models.setdefault(" or ".join(f"{count:g}" for count in passes), []).append(model)
    return models


def sensitivity(plan: Plan) -> str:
    """Return the total under other assumptions."""
    assumptions = assumptions_of(plan)
    values = {each.value: plan.value(each.value) * each.slower for each in assumptions}
    lines = [
        (
            f"{each.models} reach half of that share of a GPU (`{each.value}`)",
            plan.assuming(**{each.value: values[each.value]}),
        )
        for each in assumptions
    ]
    if len(assumptions) > 1:
        lines.append(("all reach half of that share of a GPU", plan.assuming(**values)))
    lines.append(("texts have half the tokens", plan.assuming(tokens=plan.value("tokens") / 2)))
    lines.append(("each row is read once, not `max_epochs` times", plan.one_pass()))
    whole = plan.hours()
    rows = [
        [text, number(other.hours()), f"{other.hours() / whole - 1:+.0%}"] for text, other in lines
    ]
    return table(["if (computed)", "GPU-hours", "change"], rows)


def requests_table(plan: Plan) -> str:
    """Return what the largest training of each model asks of SLURM."""
    rows = []
    dataset = plan.config["datasets"][0]
    largest = max(plan.config["sizes"], key=lambda size: plan.split(dataset, size))
    for model in plan.config["models"]:
        cell = next(cell for cell in plan.cells if (cell.model, cell.size) == (model, largest))
        gpus, minutes, host, device = plan.request(cell, MOST_GPUS)
        memory = [amount(host * 1e6), amount(device * 1e6) if device else ""]
        rows.append([model, str(gpus), number(minutes / 60), *memory])
    header = [f"a training of {largest} (computed)", "GPUs", "hours at most", "memory"]
    return table([*header, "memory of each GPU"], rows)


def disk_table(plan: Plan) -> str:
    disk = plan.disk()
    whole = sum(disk.values())
    rows = [[name, amount(size), share(size, whole)] for name, size in disk.items() if size]
    return table(["on disk at the end (computed)", "bytes", "share"], rows)


def jobs_table(plan: Plan) -> str:
    jobs, files = plan.jobs(), plan.files()
    rows = [
        [
            name,
            f"{jobs[name]:,}" if name in jobs else "",
            f"{files[name]:,}" if name in files else "",
        ]
        for name in dict.fromkeys([*jobs, *files])
    ]
    rows.append(["**all**", f"{sum(jobs.values()):,}", f"{sum(files.values()):,}"])
    return table(["rule or kind (computed)", "jobs", "files at the end"], rows)


# ---------------------------------------------------------------- the end of the page


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


def page(plan: Plan, name: str) -> str:
    """Return the whole page."""
    parts = [
        "# What a study costs",
        f"scripts/plan_study.py wrote this page (`make plan STUDY={name}`); do not edit it by "
        "hand. Each number is *measured* (on the machine that is named), *computed* (from the "
        "config and the other two, by gap.cluster.plan and gap.cluster.work) or *assumed* (in the "
        "table of assumptions).",
        describe_study(plan, name),
        totals(plan),
        "## In short",
        conclusion(plan),
        "## GPU-hours",
        hours_table(plan),
        "Core-hours of preparing, encoding and fitting vocabularies are not in it.",
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


# ---------------------------------------------------------------- command line


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", type=Path, default=Path("docs/plan.yaml"), help="a study")
    parser.add_argument("--assumptions", type=Path, default=Path("docs/assumptions.yaml"))
    parser.add_argument(
        "--throughput",
        type=Path,
        default=Path("benchmarks/throughput.json"),
        help="what benchmarks/throughput.py measured, on a CPU or a GPU",
    )
    parser.add_argument("--page", type=Path, help="to write; left out, beside the study, as .md")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    given = parse(argv)
    config = load_study(given.configfile)
    plan = Plan(config, read_yaml(given.assumptions), read_json(given.throughput))
    if not any(plan.uses_gpu(model) for model in config["models"]):
        raise UserError(f"{given.configfile}: no model needs a GPU; there is nothing to plan")
    target = given.page or given.configfile.with_suffix(".md")
    target.write_text(page(plan, given.configfile.as_posix()), encoding="utf-8")
    print(
        f"{target}: {number(plan.hours())} GPU-hours, {amount(sum(plan.disk().values()))}, "
        f"{sum(plan.files().values()):,} files, {sum(plan.jobs().values()):,} jobs"
    )


if __name__ == "__main__":
    run(main)
