"""What a training costs, told from its recipe before it starts: operations, memory, time, GPUs.

Imports nothing heavy, so that planning a study stays cheap. Every number is meant to be on the safe
side: it sizes a cluster's jobs, whose memory and time are limits.

A `recipe` is a model's entry in `model_zoo`, defaults filled in; where it lists several values, a
training is all of its trials, one after the other. A `checkpoint` is the content of
the config.json of a pretrained encoder; None where it is not fetched yet, or the recipe has none.
Rows are those of a training: what is left of the size once `validation` rows are taken out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import Any

from gap.study.schedule import per_epoch, schedule
from gap.study.tuning import grid_size, trial, tuned_values, with_settings

Recipe = Mapping[str, Any]
Checkpoint = Mapping[str, Any] | None

# BERT-base and RoBERTa-base have this shape; it stands for a checkpoint that is not known yet.
BASE_SIZED = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "vocab_size": 50_265,
    "max_position_embeddings": 514,
}
# The names of DistilBERT and of XLM, GPT-2 and their kin, by BERT's.
OTHER_NAMES = {
    "hidden_size": ("dim", "emb_dim", "d_model", "n_embd"),
    "num_hidden_layers": ("n_layers", "num_layers", "n_layer"),
    "num_attention_heads": ("n_heads", "num_heads", "n_head"),
    "intermediate_size": ("hidden_dim", "d_ff", "n_inner"),
    "max_position_embeddings": ("n_positions",),
}

# The values, among those that a recipe may list, that decide how long a trial takes, and of these
# the ones that decide what TF-IDF counts, once for all trials that agree in them.
COSTLY = ("batch_size", "max_epochs", "longest_phrase", "max_features")
COUNTED = ("longest_phrase", "max_features", "min_texts")

# Few texts have more tokens than this for each of their words.
TOKENS_PER_WORD = 2

# Iterations of a logistic regression, as far as its recipe allows them; an assumption: the solver
# ends when the loss is level, earlier the stronger the regularisation.
ITERATIONS = 150
# Seconds of one core per token, for cutting a text into words and pairs and counting them: 3.5 to
# 4 µs were measured on film reviews.
COUNTING = 8e-6

MEGABYTE = 1e6
# Resident memory of a process with torch and transformers imported: 0.5 GB were measured with
# torch's CPU build, up to 0.9 GB with the Trainer at work. CUDA's libraries and context come on
# top.
IMPORTS_MB = 1000
CUDA_HOST_MB = 3000
CUDA_DEVICE_MB = 1000
# Per row of a training: its row number, label and role in the subsample (twice, while it is read),
# lengths of the texts, an epoch's order as numbers and as a list of Python's.
ROW_BYTES = 200
# Of a token's id, at most (two where the vocabulary has up to 65,536 pieces).
ID_BYTES = 4
# Weights, gradients and AdamW's two moments in fp32 (Rajbhandari et al. 2020, ZeRO, section 3.1,
# count 16 bytes, too), and a bf16 copy of the weights for the products.
WEIGHT_BYTES = 16 + 2
# Gradients in transit where several GPUs train together.
BUCKET_BYTES = 4
# A transformer layer keeps 34 bytes per token and unit of width at two bytes a number, and 5 per
# pair of tokens and head where attention is computed plainly (Korthikanti et al. 2022, Reducing
# Activation Recomputation in Large Transformer Models, equation 2). Twice that for fp32; on GPUs
# fused attention keeps no pairs, and autocast leaves about half of the numbers in fp32.
LAYER_BYTES = {"cpu": 2 * 34, "gpu": 34 * 3 / 2}
PAIR_BYTES = {"cpu": 2 * 5, "gpu": 0}
# Numbers that an LSTM keeps per token, direction and unit of width: four gates before and after
# their functions, cell and hidden state, input and output, their flipped copies and masks.
LSTM_NUMBERS = 24

# Tokens of a batch where nothing is trained; gap.models.inference, which has them, imports torch.
INFERENCE_TOKENS = 4096

# Operations a second that a training sustains, per GPU or CPU core. No GPU was measured: a batch of
# 32 short texts leaves most of an A100's 312e12 (dense bf16) unused, and older cards are slower.
# Cores: 31e9 to 49e9 were measured in whole trainings of the default study, in fp32 with AVX2.
# Linear models wait for memory; 1.5e9 was measured, more features miss the cache more often.
RATES = {
    "transformer": {"gpu": 20e12, "cpu": 20e9},
    "lstm": {"gpu": 20e12, "cpu": 20e9},
    "linear": {"gpu": 0.2e9, "cpu": 0.2e9},
}
# Seconds that a GPU takes for a position of all texts of a batch in an LSTM's layer and direction,
# forward: a few kernels of 5 to 10 microseconds, each waiting for the one before it.
LSTM_STEP = 40e-6
# n GPUs are n to the power of this faster: those of a transformer wait for each other's gradients;
# fewer texts each shorten little of an LSTM's step, whose tokens come one after the other.
SPEED_UP = {"transformer": 0.9, "lstm": 0.4, "linear": 0.0}
# Minutes to start, to read the texts, to save checkpoints and weights.
OVERHEAD_MINUTES = 15
GPU_COUNTS = (1, 2, 4, 8)


def shape_of(checkpoint: Checkpoint) -> dict[str, int]:
    """Return an encoder's shape under BERT's names; what is not told is that of a base-sized one.

    Of a feed-forward layer that is not told, four times the width is assumed.
    """
    found = dict(BASE_SIZED if checkpoint is None else checkpoint)
    for name, others in OTHER_NAMES.items():
        told = [found[one] for one in (name, *others) if found.get(one)]
        found[name] = told[0] if told else BASE_SIZED[name]
        if name == "intermediate_size" and not told:
            found[name] = 4 * found["hidden_size"]
    found["vocab_size"] = found.get("vocab_size") or BASE_SIZED["vocab_size"]
    return {name: int(found[name]) for name in BASE_SIZED}


def parameters(
    recipe: Recipe, checkpoint: Checkpoint, *, pieces: int = 8000, labels: int = 2
) -> tuple[int, int]:
    """Return how many parameters a model has, and how many of them multiply each token.

    `pieces` is the size of the recipe's vocabulary in `vocabulary_zoo`. A checkpoint that is not
    known is taken for a base-sized one, 12 layers of 768 units with 50,265 tokens. Looking up an
    embedding multiplies nothing, and a classifier sees a text once. Feed-forward layers with gates
    are counted as plain ones, shared layers (ALBERT) as layers of their own. Of several values the
    largest counts.
    """
    if recipe["family"] == "linear":
        recipe = largest(recipe)
        return (recipe["max_features"] + 1) * labels, recipe["longest_phrase"] * labels
    if recipe["family"] == "lstm":
        return _lstm_parameters(recipe, checkpoint, pieces, labels)
    shape = shape_of(checkpoint)
    width, inner, layers = (
        shape[name] for name in ("hidden_size", "intermediate_size", "num_hidden_layers")
    )
    products = layers * (4 * width**2 + 2 * width * inner)
    # Biases and the scales of two normalisations.
    others = layers * (9 * width + inner)
    # Two kinds of segments, and a normalisation.
    table = (shape["vocab_size"] + shape["max_position_embeddings"] + 4) * width
    head = (width + 1) * (width + labels)
    return products + others + table + head, products


def _lstm_parameters(
    recipe: Recipe, checkpoint: Checkpoint, pieces: int, labels: int
) -> tuple[int, int]:
    """Return the same for an LSTM: gates as in torch.nn.LSTM, with two vectors of biases."""
    rows, columns = pieces, recipe["embedding_size"]
    if "checkpoint" in recipe:
        shape = shape_of(checkpoint)
        rows = shape["vocab_size"]
        columns = columns if recipe["embeddings"] == "learned" else shape["hidden_size"]
    width, layers = recipe["width"], recipe["layers"]
    directions = 2 if recipe["bidirectional"] else 1
    inputs = columns + (layers - 1) * directions * width
    products = directions * 4 * width * (inputs + layers * width)
    biases = directions * 4 * width * 2 * layers
    head = (directions * width + 1) * labels
    return rows * columns + products + biases + head, products


def largest(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe with the largest of the values that it lists, which takes the most room."""
    return with_settings(recipe, {k: max(values) for k, values in tuned_values(recipe).items()})


def _trials(recipe: Recipe) -> Iterator[dict[str, Any]]:
    """Yield the recipe's trials, but those that cost the same only once."""
    fixed = {k: values[0] for k, values in tuned_values(recipe).items() if k not in COSTLY}
    different = with_settings(recipe, fixed)
    for number in range(1, grid_size(different) + 1):
        yield trial(different, number).recipe


def longest_text(dataset: Mapping[str, Any]) -> int:
    """Return the tokens of the longest text of a data set at most, from its entry in the config."""
    return min(int(dataset["max_tokens"]), TOKENS_PER_WORD * int(dataset["words"]))


def optimisation_steps(rows: int, recipe: Recipe) -> int:
    """Return the optimisation steps of a network's training on so many rows."""
    return schedule(rows, recipe["optimisation"])[0]


def training_operations(
    recipe: Recipe,
    checkpoint: Checkpoint,
    rows: int,
    tokens: float,
    *,
    validation: int = 0,
    pieces: int = 8000,
    labels: int = 2,
) -> float:
    """Return the floating-point operations of one training, of one seed, at most.

    `tokens` are those of a text, on average. Forward, 2 per weight and token, and 4 per token,
    token that it attends to, layer and unit of width; backward twice that (Kaplan et al. 2020,
    Scaling Laws for Neural Language Models, section 2.1, whose attention looks back only and so
    costs half). Validation goes forward only. That training stops early is not counted on.
    Optimiser, normalisations and dropout are left out: they are less than the rates leave room for.
    Of trials that are drawn, those of a mean cost are expected.
    """
    operations = _shared_operations(
        recipe, checkpoint, rows + validation, tokens, pieces=pieces, labels=labels
    )
    each = (
        _trial_operations(
            one, checkpoint, rows, tokens, validation=validation, pieces=pieces, labels=labels
        )
        for one in _trials(recipe)
    )
    return operations + float(recipe["trials"]) * fmean(each)


def _shared_operations(
    recipe: Recipe, checkpoint: Checkpoint, rows: int, tokens: float, *, pieces: int, labels: int
) -> float:
    """Return the operations that are done once for several trials: the features of all rows."""
    if recipe["family"] == "linear":
        listed = tuned_values(recipe)
        times = math.prod(len(listed.get(key, [0])) for key in COUNTED)
        return times * COUNTING * RATES["linear"]["cpu"] * tokens * rows
    if recipe["family"] == "transformer" and recipe["frozen"]:
        _, products = parameters(recipe, checkpoint, pieces=pieces, labels=labels)
        return _forward(recipe, checkpoint, products, tokens) * rows
    return 0.0


def _trial_operations(
    recipe: Recipe,
    checkpoint: Checkpoint,
    rows: int,
    tokens: float,
    *,
    validation: int,
    pieces: int,
    labels: int,
) -> float:
    """Return the operations of one trial, whose recipe has one value for each setting."""
    _, products = parameters(recipe, checkpoint, pieces=pieces, labels=labels)
    if recipe["family"] == "linear":
        return _fitting(recipe, rows, tokens * products)
    if recipe["family"] == "transformer" and recipe["frozen"]:
        return _fitting(recipe, rows, shape_of(checkpoint)["hidden_size"] * labels)
    read = rows * optimisation_steps(rows, recipe) / per_epoch(rows, recipe["optimisation"])
    evaluated = validation * recipe["optimisation"]["evaluations"]
    return _forward(recipe, checkpoint, products, tokens) * (3 * read + evaluated)


def prediction_operations(
    recipe: Recipe,
    checkpoint: Checkpoint,
    rows: int,
    tokens: float,
    *,
    pieces: int = 8000,
    labels: int = 2,
) -> float:
    """Return the floating-point operations of scoring so many texts, with one seed's model."""
    _, products = parameters(recipe, checkpoint, pieces=pieces, labels=labels)
    if recipe["family"] == "linear":
        return COUNTING * RATES["linear"]["cpu"] * tokens * rows
    return _forward(recipe, checkpoint, products, tokens) * rows


def _forward(recipe: Recipe, checkpoint: Checkpoint, products: int, tokens: float) -> float:
    """Return the operations of one text's way through a network."""
    attention = 0.0
    if recipe["family"] == "transformer":
        shape = shape_of(checkpoint)
        attention = 4.0 * tokens**2 * shape["num_hidden_layers"] * shape["hidden_size"]
    return 2.0 * products * tokens + attention


def _fitting(recipe: Recipe, rows: int, products: float) -> float:
    """Return the operations of fitting a logistic regression of `products` per text."""
    return 4.0 * products * rows * min(recipe["optimisation"]["max_iterations"], ITERATIONS)


def memory_mb(
    recipe: Recipe,
    checkpoint: Checkpoint,
    rows: int,
    tokens: float,
    *,
    longest: int = 512,
    gpus: int = 0,
    pieces: int = 8000,
    labels: int = 2,
) -> tuple[int, int]:
    """Return the memory of a training in MB (10^6 bytes): of its processes, and of each GPU.

    `tokens` are those of a text, on average, `longest` those of the longest (`max_tokens` of the
    data set). Without GPUs a network's weights and activations are in the process's memory, and
    the second number is 0. Each GPU has a process of its own. Rounded up to whole 100 MB.
    """
    recipe = largest(recipe)
    data = rows * ROW_BYTES / MEGABYTE
    if recipe["family"] == "linear":
        return _round_up(IMPORTS_MB + data + _counts_mb(recipe, rows, tokens, labels)), 0
    # They stay on disk, but what was read of them counts as memory, once for all processes.
    ids = ID_BYTES * rows * tokens / MEGABYTE
    weights, _ = parameters(recipe, checkpoint, pieces=pieces, labels=labels)
    if recipe["family"] == "lstm":
        batch = _lstm_activations(recipe, longest, gpus)
    else:
        batch = _encoder_activations(recipe, shape_of(checkpoint), longest, gpus)
    if recipe["family"] == "transformer" and recipe["frozen"]:
        # The states of all texts in fp32, three times: in pieces, as one, scaled.
        width = shape_of(checkpoint)["hidden_size"]
        data += 3 * 4 * width * rows / MEGABYTE
        state = 4 * weights
    else:
        state = (WEIGHT_BYTES + (BUCKET_BYTES if gpus > 1 else 0)) * weights
    if not gpus:
        # Weights twice: best ones are read while the last ones are there.
        own = (state + 4 * weights + batch) / MEGABYTE
        return _round_up(IMPORTS_MB + data + ids + own), 0
    # While a checkpoint is read or written, weights and moments are in the process's memory, too.
    host = IMPORTS_MB + CUDA_HOST_MB + data + WEIGHT_BYTES * weights / MEGABYTE
    return _round_up(gpus * host + ids), _round_up(CUDA_DEVICE_MB + (state + batch) / MEGABYTE)


def _round_up(megabytes: float) -> int:
    return math.ceil(megabytes / 100) * 100


def _texts_at_once(recipe: Recipe, gpus: int) -> int:
    """Return the texts that a device takes at once: its share of a batch, or fewer if asked to."""
    settings = recipe["optimisation"]
    share = math.ceil(settings["batch_size"] / max(gpus, 1))
    return min(share, settings.get("device_batch_size", share))


def _lstm_activations(recipe: Recipe, longest: int, gpus: int) -> float:
    """Return the bytes that a step of an LSTM keeps for its way back."""
    directions = 2 if recipe["bidirectional"] else 1
    units = recipe["layers"] * directions * recipe["width"]
    return 4.0 * LSTM_NUMBERS * units * _texts_at_once(recipe, gpus) * longest


def _encoder_activations(
    recipe: Recipe, shape: Mapping[str, int], longest: int, gpus: int
) -> float:
    """Return the bytes that a step of an encoder keeps for its way back; a layer's, if frozen."""
    place = "gpu" if gpus else "cpu"
    width, heads = shape["hidden_size"], shape["num_attention_heads"]
    per_token = LAYER_BYTES[place] * width + PAIR_BYTES[place] * heads * longest
    if recipe["frozen"]:
        return per_token * max(INFERENCE_TOKENS, longest)
    return per_token * _texts_at_once(recipe, gpus) * longest * shape["num_hidden_layers"]


def _counts_mb(recipe: Recipe, rows: int, tokens: float, labels: int) -> float:
    """Return the MB of TF-IDF: the texts, the counts of their phrases, the phrases, the solver."""
    phrases = tokens * recipe["longest_phrase"]
    # Texts as strings; an index and a number per phrase and text, while they are sorted, too.
    texts = rows * (100 + 8 * tokens + 24 * phrases)
    # Different phrases, before the most frequent are chosen: of film reviews' n words and pairs
    # 3.8 n^0.8 at 1,000 reviews, and 3.2 n^0.8 at 45,000.
    different = 200 * 4 * (rows * phrases) ** 0.8
    solver = 8 * 25 * parameters(recipe, None, labels=labels)[0]
    return (texts + different + solver) / MEGABYTE


def sustained_rate(recipe: Recipe, gpus: int = 0, cores: int = 1) -> float:
    """Return the operations a second that a training sustains on GPUs, or on cores without them.

    Threads of one network wait for each other: two did the work of 1.5 where it was measured.
    """
    kind = recipe["family"]
    if not gpus:
        return float(RATES[kind]["cpu"] * (cores**0.5 if kind != "linear" else 1))
    one = RATES[kind]["gpu"]
    if kind == "lstm":
        one = min(one, lstm_rate(recipe, parameters(recipe, None)[1]))
    return float(one * gpus ** SPEED_UP[kind])


def lstm_rate(recipe: Recipe, products: int, seconds: float = LSTM_STEP) -> float:
    """Return the operations a second of an LSTM on a GPU, whose positions wait for each other.

    Going forward, a position of all texts of a batch takes `seconds` in each layer and direction,
    whatever their width, and going backward twice that. `products` is the second of `parameters`.
    Of several sizes of a batch the smallest counts.
    """
    directions = 2 if recipe["bidirectional"] else 1
    texts = min(tuned_values(recipe).get("batch_size", [recipe["optimisation"]["batch_size"]]))
    return 2.0 * products * texts / (seconds * recipe["layers"] * directions)


def runtime_minutes(operations: float, rate: float) -> int:
    """Return the minutes of a job of so many operations at `rate` a second, its start included."""
    return math.ceil(OVERHEAD_MINUTES + operations / rate / 60)


def gpus(recipe: Recipe, operations: float, most: int, hours: float = 8.0) -> int:
    """Return how many GPUs a training asks for: the fewest of 1, 2, 4, 8 that take up to `hours`.

    Where none do, as many as `most` allows; 0 if that is 0, and for linear models, which have no
    use for them. The states of a frozen encoder are computed on one.
    """
    frozen = recipe["family"] == "transformer" and recipe["frozen"]
    allowed = [count for count in GPU_COUNTS if count <= (min(most, 1) if frozen else most)]
    if recipe["family"] == "linear" or not allowed:
        return 0
    for count in allowed:
        if runtime_minutes(operations, sustained_rate(recipe, count)) <= 60 * hours:
            return count
    return allowed[-1]
