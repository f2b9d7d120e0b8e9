"""The tables of a plan's page, and how it spells numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gap.cluster.expected_gaps import USUAL, fewest_seeds
from gap.cluster.plan import Plan
from gap.cluster.plan_pretraining import PlannedPretraining, planned_pretrainings
from gap.models.workload import Assumption

# GPUs that one training may ask for in the table of requests, as in the profile for SLURM.
MOST_GPUS = 8


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
    """Return a part in percent of the whole."""
    return f"{part / whole:.0%}" if whole else "0%"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


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
        *pretraining_totals(plan),
        [f"days on {at_once:.0f} GPUs, all of them always busy", number(on_gpus / at_once / 24)],
        [f"the longest job on one GPU, hours ({longest[1]}, {longest[2]})", number(longest[0])],
        ["disk at the end", amount(disk)],
        [
            f"what {at_once:.0f} trainings at once keep while they run, on top",
            amount(plan.work_bytes()),
        ],
        ["files at the end", f"{sum(files.values()):,}"],
        ["jobs", f"{sum(jobs.values()):,}"],
    ]
    return table(["in all (computed)", ""], rows)


def pretraining_totals(plan: Plan) -> list[list[str]]:
    """Return the row of the totals on the study's own checkpoints; none where it has none."""
    hours = [each.core_hours for each in planned_pretrainings(plan)]
    return [["core-hours of pretraining, on top", number(sum(hours))]] if hours else []


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


def pretraining_table(pretrainings: Sequence[PlannedPretraining]) -> str:
    """Return the table of what the study's own checkpoints take, a row for each."""
    rows = [
        [
            each.checkpoint,
            each.objective,
            number(each.tokens / 1e6),
            f"{each.passes:g}",
            number(each.core_hours),
            "" if each.gpu_hours is None else number(each.gpu_hours),
        ]
        for each in pretrainings
    ]
    hours = [each.core_hours for each in pretrainings]
    rows.append(["**all**", "", "", "", f"**{number(sum(hours))}**", ""])
    header = ["checkpoint", "objective", "10^6 tokens (computed)", "passes at most"]
    header += ["core-hours (computed)", "or GPU-hours (computed)"]
    return table(header, rows)


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
    """Return what the speeds were measured on."""
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


def assumptions_table(plan: Plan) -> str:
    """Return the table of all that is assumed, with its source."""
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
    """Return the models by how often they go through the rows at most."""
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


def power_table(plan: Plan) -> str:
    """Return the table of the smallest gaps that the study is expected to tell, by data set."""
    config = plan.config
    margin, confidence = config["gap"]["margin"], config["gap"]["confidence"]
    seeds = fewest_seeds(plan.family(model).recipe for model in config["models"])
    rows = []
    for dataset in config["datasets"]:
        test = plan.rows(dataset)[1]
        sizes = [sum(plan.split(dataset, size)) for size in config["sizes"]]
        for n in sorted({min(sizes), max(sizes)}):
            outlook = USUAL.outlook(n, seeds, test, confidence)
            smallest, none = outlook.smallest_told(margin), outlook.chance_to_tell_none(margin)
            numbers = [f"{n:,}", f"{test:,}", str(seeds), f"{smallest:.1f}", f"{none:.0%}"]
            rows.append([dataset, *numbers])
    return table(
        [
            "data set",
            "labels",
            "test rows",
            "seeds of each model, at least",
            f"smallest gap told to be above {margin:g}, points (computed)",
            f"chance that a gap of zero is told to be within {margin:g} (computed)",
        ],
        rows,
    )


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
    """Return the table of bytes on disk."""
    disk = plan.disk()
    whole = sum(disk.values())
    rows = [[name, amount(size), share(size, whole)] for name, size in disk.items() if size]
    return table(["on disk at the end (computed)", "bytes", "share"], rows)


def jobs_table(plan: Plan) -> str:
    """Return the table of jobs and files."""
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
