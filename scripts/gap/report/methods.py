"""What a paper says of how a study was done, told from its config and provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gap.data.manifests import Card, TextBudget
from gap.data.units import plural
from gap.models.family import family_of, load_recipe
from gap.results.missing import spell_size
from gap.results.pretrainings import held_out_losses
from gap.results.reading import ReadingRecipe
from gap.results.records import Hardware, SourceRecord, StudyRecord
from gap.study.sizes import parse_seeds

# The packages that one names in a paper.
NAMED = ("torch", "transformers", "scikit-learn", "sentencepiece", "tokenizers")


def methods(record: StudyRecord, cards: Sequence[Card], recipe: ReadingRecipe) -> list[str]:
    """Return paragraphs for the methods section of a paper; `cards` are those of the data sets."""
    config = record["config"]
    return [
        _data(config, cards, recipe),
        _models(record, recipe),
        _training(config, recipe),
        _estimation(recipe),
        _software(record),
    ]


PAIRS = (
    "; pretrained tokenizers read both as a pair, and models without one read them as one text "
    "with a mark between"
)


def _data(config: Mapping[str, Any], cards: Sequence[Card], recipe: ReadingRecipe) -> str:
    datasets = []
    for card in cards:
        budget = config["dataset_zoo"][card["dataset"]]
        pair = budget["pair"]
        origin = f" ({card['origin']})" if card.get("origin") else ""
        datasets.append(
            f"{recipe.title(card['dataset'])}{origin}: {len(card['labels'])} labels, "
            f"{card['pool']['rows']:,} texts to train on and {card['test']['rows']:,} to test on, "
            f"of which none is in both; models read {_kept(card['text_budget'])} of a "
            f"{'pair of texts' if pair else 'text'}, and at most {budget['max_tokens']:,} tokens"
            f"{PAIRS * pair}"
        )
    sizes = ", ".join(spell_size(size) for size in config["sizes"])
    held = config["validation"]
    return (
        f"Data. {'. '.join(datasets)}. Training budgets: {sizes} labelled examples. For each seed, "
        "the texts are put in one random order, stratified by label; a budget takes the first "
        "texts of it, so a smaller budget is a part of a larger one. Of each budget, "
        f"{held['share']:.0%}, but at least {held['min']:,} and at most {held['max']:,} examples, "
        "are held out of training to choose weights and settings."
    )


def _kept(budget: TextBudget) -> str:
    """Return which units of a text models read, in words."""
    words, units = budget["words"], plural(budget["called"])
    if budget["keep"] == "head_and_tail":
        return f"the first and the last {units} ({words:,} in all)"
    return f"the first {words:,} {units}"


def _models(record: StudyRecord, recipe: ReadingRecipe) -> str:
    config = record["config"]
    zoo = config["model_zoo"]
    phrases = [
        f"{recipe.title(name)}: {family_of(load_recipe(zoo[name])).describe()}"
        for name in config["models"]
    ]
    begun_with = {load_recipe(zoo[name]).pretrained for name in config["models"]}
    tuned = [
        f" The body of {name.removeprefix('checkpoint-')} had been fine-tuned for "
        f"{source['tuned_for']} before it came here; its head was not taken over."
        for name, source in record["sources"].items()
        if "tuned_for" in source and name.removeprefix("checkpoint-") in begun_with
    ]
    told = [
        f" Checkpoint {name}: {origin.removesuffix('.')}."
        for name, origin in recipe.checkpoints.items()
    ]
    made = [
        _pretrained(name.removeprefix("checkpoint-"), source, config.get("text_zoo", {}))
        for name, source in record["sources"].items()
        if "pretraining" in source
    ]
    made += [
        _trained(name.removeprefix("checkpoint-"), source["spec"], recipe)
        for name, source in record["sources"].items()
        if source["spec"].get("kind") == "trained"
    ]
    return f"Models. {'; '.join(phrases)}.{''.join(told)}{''.join(tuned)}{''.join(made)}"


# What is learned, by the name of an objective.
OBJECTIVES = {
    "masked_lm": "to tell masked tokens",
    "language_model": "to tell the next token and, backwards, the one before",
    "static": "vectors of tokens, of which others stand near them",
}


def _pretrained(name: str, source: SourceRecord, text_zoo: Mapping[str, Any]) -> str:
    """Return what a checkpoint that the workflow made was pretrained on, and what came of it."""
    corpus, work = source["corpus"], source["pretraining"]
    objective = OBJECTIVES[source["spec"]["objective"]]
    text = (
        f" Checkpoint {name} was pretrained for this study ({objective}) on "
        f"{corpus['texts']:,} texts {_texts_of(source, text_zoo)}, {work['tokens']:,} tokens, "
        f"{work['passes']:g} passes, {work['seconds']:,.0f} s by {work['processes']} "
        f"process{'es' * (work['processes'] > 1)}; {corpus['test_texts']:,} texts that stand in a "
        "test set were left out."
    )
    losses = held_out_losses(work)
    if losses is None:
        return text
    return (
        f"{text} The loss on {corpus['held_out']:,} held-out texts went from {losses[0]:.2f} to "
        f"{losses[1]:.2f} nats a token."
    )


def _trained(name: str, spec: Mapping[str, Any], recipe: ReadingRecipe) -> str:
    """Return which run a checkpoint is of that the workflow made of one."""
    return (
        f" Checkpoint {name} is what {recipe.title(spec['model'])} was trained to on "
        f"{spec['dataset']} with {spell_size(spec['size'])} labels (seed {spec['seed']}); its head "
        "was not taken over."
    )


def _texts_of(source: SourceRecord, text_zoo: Mapping[str, Any]) -> str:
    """Return what the texts of a corpus come from: data sets, and sources without labels."""
    names, corpus = source["spec"]["corpus"], source["corpus"]
    datasets = [name for name in names if name not in text_zoo]
    parts = [f"of {', '.join(datasets)} without their labels"] if datasets else []
    for name in names:
        if name in text_zoo:
            origin = text_zoo[name].get("origin")
            told = f"; {origin.removesuffix('.')}" if origin else ""
            parts.append(
                f"of {name}, which has no labels ({corpus['texts_of'][name]:,} texts{told})"
            )
    return " and ".join(parts)


def _training(config: Mapping[str, Any], recipe: ReadingRecipe) -> str:
    by_count: dict[int, list[str]] = {}
    for name in config["models"]:
        blocks = config["model_zoo"][name]["seeds"]
        count = len({seed for block in blocks for seed in parse_seeds(block)})
        by_count.setdefault(count, []).append(recipe.title(name))
    seeds = "; ".join(
        f"{count} seed{'' if count == 1 else 's'} for {', '.join(names)}"
        for count, names in by_count.items()
    )
    return (
        "Training. A seed fixes the examples, the first weights and the order of batches: "
        f"{seeds}. Networks are evaluated on the held-out examples at regular steps. Where several "
        "settings were tried, those with the lowest loss there were chosen. The test set is read "
        "once, with the chosen weights."
    )


def _estimation(recipe: ReadingRecipe) -> str:
    return (
        f"Estimation. The gap of a model is the {recipe.headline.title} of "
        f"{recipe.reference_title} minus its own, paired by test text, over all seeds of both, in "
        f"{_points(recipe)}, with {recipe.interval}s over seeds and test texts. The variance of "
        "seeds in each cell is estimated from all cells together (empirical Bayes; Smyth 2004), "
        "with chance in single test texts as its floor; intervals are never narrower than exact "
        "bounds on the shares of texts that differ (Clopper and Pearson 1934). A gap counts as "
        f"clear where it is known to be larger than a margin of {recipe.spelled_margin}, and as "
        "none where it is known to be smaller, at a false discovery rate of "
        f"{recipe.wrong_claims} (Benjamini and Hochberg 1995)."
    )


def _points(recipe: ReadingRecipe) -> str:
    """Return what points are, and how rows add up to a metric that is no mean over rows."""
    if recipe.metric[0] == "accuracy":
        return "percentage points"
    return "points (hundredths), where each text adds its influence value (Hampel 1974)"


def name_machine(hardware: Hardware) -> str:
    """Return where models were trained: "a CPU in fp32"."""
    return f"{hardware['processor']} in {hardware['precision']}"


def _software(record: StudyRecord) -> str:
    environments = record["environments"].values()
    packages = sorted(
        {
            f"{name} {environment['packages'][name]}"
            for environment in environments
            for name in NAMED
            if name in environment["packages"]
        }
    )
    machines = sorted({name_machine(environment["hardware"]) for environment in environments})
    return f"Software. Snakemake with {', '.join(packages)}; trained on {'; '.join(machines)}."
