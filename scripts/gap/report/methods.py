"""What a paper says of how a study was done, told from its config and provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gap.models.family import family_of, load_recipe
from gap.report.markdown import markdown_table
from gap.results.missing import spell_size
from gap.study.sizes import parse_seeds

Row = Mapping[str, Any]
# Of all packages, those that one names in a paper.
NAMED = ("torch", "transformers", "scikit-learn", "sentencepiece", "tokenizers")


def methods(provenance: Row, cards: Sequence[Row], recipe: Row) -> str:
    """Return paragraphs for the methods section of a paper, as Markdown.

    `provenance` is what record_provenance.py writes, `cards` are those of the data sets, `recipe`
    has titles {name: text}, margin (points) and confidence (0..1).
    """
    config, titles = provenance["config"], recipe.get("titles", {})
    return "\n\n".join(
        [
            _data(config, cards, titles),
            _models(config, titles),
            _training(config, titles),
            _estimation(config, recipe, titles),
            _software(provenance),
        ]
    )


def _data(config: Row, cards: Sequence[Row], titles: Row) -> str:
    sets = []
    for card in cards:
        budget = config["dataset_zoo"][card["dataset"]]
        origin = f" ({card['origin']})" if card.get("origin") else ""
        kept = {"head": "first", "tail": "last"}.get(budget["keep"], budget["keep"])
        sets.append(
            f"{titles.get(card['dataset'], card['dataset'])}{origin}: {len(card['labels'])} "
            f"labels, {card['pool']['rows']:,} texts to train on and {card['test']['rows']:,} to "
            f"test on, none in both, of each text the {kept} {budget['words']:,} words and at most "
            f"{budget['max_tokens']:,} tokens"
        )
    sizes = ", ".join(spell_size(size) for size in config["sizes"])
    held = config["validation"]
    return (
        f"Data. {'; '.join(sets)}. Training budgets: {sizes} labelled examples. For each seed, one "
        "random order of the texts, stratified by label, gives the examples of every budget: a "
        f"smaller budget is the beginning of a larger one. {held['share']:.0%} of a budget, at "
        f"least {held['min']:,} and at most {held['max']:,} examples, are held out of training to "
        "choose weights and settings."
    )


def _models(config: Row, titles: Row) -> str:
    zoo = config["model_zoo"]
    described = [
        f"{titles.get(name, name)}: {family_of(load_recipe(zoo[name])).describe()}"
        for name in config["models"]
    ]
    return f"Models. {'; '.join(described)}."


def _training(config: Row, titles: Row) -> str:
    by_count: dict[int, list[str]] = {}
    for name in config["models"]:
        blocks = config["model_zoo"][name]["seeds"]
        count = len({seed for block in blocks for seed in parse_seeds(block)})
        by_count.setdefault(count, []).append(str(titles.get(name, name)))
    seeds = "; ".join(
        f"{count} seed{'' if count == 1 else 's'} for {', '.join(names)}"
        for count, names in by_count.items()
    )
    return (
        "Training. A seed fixes the examples, the first weights and the order of batches: "
        f"{seeds}. Networks are looked at on the held-out examples at regular steps; where several "
        "settings were tried, those of the lowest loss there went on. The test set is read once, "
        "by the chosen weights."
    )


def _estimation(config: Row, recipe: Row, titles: Row) -> str:
    reference = titles.get(config["reference"], config["reference"])
    margin = f"{recipe['margin']:g} point{'' if recipe['margin'] == 1 else 's'}"
    return (
        f"Estimation. The gap of a model is the accuracy of {reference} minus its own, paired by "
        f"seed and by test text, in percentage points, with {100 * recipe['confidence']:g} % "
        "intervals over seeds and test texts (analysis of variance; Student's t for each variance; "
        "Banerjee 1960). A gap counts as clear or as none where it is told apart from a margin of "
        f"{margin}, at a false discovery rate of {100 - 100 * recipe['confidence']:g} % "
        "(Benjamini and Hochberg 1995)."
    )


def _software(provenance: Row) -> str:
    environments = provenance["environments"].values()
    packages = sorted(
        {
            f"{name} {one['packages'][name]}"
            for one in environments
            for name in NAMED
            if name in one["packages"]
        }
    )
    machines = sorted({_machine(one["hardware"]) for one in environments})
    return f"Software. Snakemake with {', '.join(packages)}; trained on {'; '.join(machines)}."


def _machine(hardware: Row) -> str:
    return f"{hardware['processor']} in {hardware['precision']}"


def spell_environments(provenance: Row) -> str:
    """Return tables of what the results came from: data, weights, machines, packages; Markdown."""
    sources = [
        [name, _where(facts), sha256[:16], file]
        for name, facts in provenance["sources"].items()
        for file, sha256 in facts["files"].items()
    ]
    data = [
        [name, part, f"{facts[part]['rows']:,}", facts[part]["sha256"][:16]]
        for name, facts in provenance["datasets"].items()
        for part in ("pool", "test")
    ]
    runs = [one["environment"] for one in provenance["runs"].values()]
    machines = [
        [number, str(runs.count(number)), _machine(one["hardware"]), _packages(one["packages"])]
        for number, one in provenance["environments"].items()
    ]
    return "\n\n".join(
        [
            "Checksums are the first 16 digits of the sha256; `provenance.json` has the whole, and "
            "all of it for every run.",
            "### Sources",
            markdown_table(["Source", "From", "sha256", "File"], sources, right=set()),
            "### Data sets, cleaned",
            markdown_table(["Data set", "Part", "Rows", "sha256"], data, right={2}),
            "### Where models were trained",
            markdown_table(["Number", "Runs", "Processor", "Packages"], machines, right={1}),
        ]
    )


def _where(facts: Row) -> str:
    """Return a source in short: its kind, and what names it there."""
    spec = facts.get("spec", facts)
    names = [str(spec[key]) for key in ("name", "id", "url", "path", "version") if key in spec]
    return " ".join([str(spec.get("kind", "")), *names]).strip()


def _packages(packages: Row) -> str:
    return ", ".join(f"{name} {version}" for name, version in packages.items())
