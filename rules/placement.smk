"""What jobs ask of a cluster: resources, which decide no result and make nothing run again."""

from gap.cluster.expected_gaps import expected_gaps
from gap.cluster.pretraining import pretraining_request
from gap.cluster.slurm import check_site, refusal
from gap.cluster.requests import (
    Inputs,
    Site,
    bridge_request,
    corpus_request,
    data_request,
    forgetting_request,
    gap_request,
    latency_request,
    prediction_request,
    prepare_request,
    training_request,
)

# Prefix and suffix hold for all rules, so a workflow that has this one as a module does not get them:
# there, a training that ran out of time goes on at the job's next attempt (`retries`).
if "SLURM_JOB_ID" in os.environ and not workflow.is_main_process and STANDALONE:
    # Before a job's time is over, SLURM sends SIGTERM to all of its processes. The shell waits for
    # the program, which would be alone without it, and killed before it has saved what it has.
    shell.prefix("trap : TERM; ")
    requeue = shlex.join([sys.executable, str(ROOT / "scripts" / "requeue.py")])
    shell.suffix(f" || {requeue} $?")
    # A node may have no network, and a job needs none: a look at the hub would only wait for it.
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


# What the profile says about the cluster, among other things.
DEFAULT_RESOURCES = {
    name: resource.raw
    for name, resource in (workflow.resource_settings.default_resources or {}).items()
}
SITE = Site.of(DEFAULT_RESOURCES)


# The SLURM profile has it. Elsewhere nothing is asked for, which keeps plans short to make and read.
ON_CLUSTER = "serial" in DEFAULT_RESOURCES


# Threads of a job beside which nothing else runs: Snakemake lowers the number to the cores that it has.
# On a cluster a job has cores of its own.
ALONE = 1 if ON_CLUSTER else sys.maxsize


def asked(ask, otherwise=0):
    """A resource of a rule: on a cluster, what `ask` returns of wildcards, input and attempt."""
    return ask if ON_CLUSTER else lambda wildcards: otherwise


def mem_mb(request):
    """The memory of a rule's jobs as a resource: half as much more at each attempt."""
    return asked(
        lambda wildcards, input, attempt: request(wildcards, input).mem_mb * (attempt + 1) // 2
    )


def runtime(request, share=1.0):
    """The time limit of a rule's jobs as a resource: more at each attempt.

    `share` is the part of the cluster's limit that a step may take of a job that it is in.
    """
    return asked(
        lambda wildcards, input, attempt: SITE.minutes(request(wildcards, input), attempt, share)
    )


def gpu(request):
    """The GPUs of a rule's jobs as a resource; none where the profile names none."""
    return asked(lambda wildcards, input: request(wildcards, input).gpu)


def processes(request):
    """How many processes train a run together: one for each of its GPUs, or one."""
    return asked(lambda wildcards, input: max(1, request(wildcards, input).gpu), otherwise=1)


# Steps and trainings of at most this many rows are short: several of them make one job of the cluster.
SHORT = 50_000


def rows_at_most(wildcards):
    """The rows of a block of subsamples; unknown for a share of a pool that is not there yet."""
    pool = paths.located(paths.POOL_MANIFEST, RESULTS, dataset=wildcards.dataset)
    if wildcards.size.endswith("%") and not pool.exists():
        return math.inf
    rows = read_json(pool)["rows"] if wildcards.size.endswith("%") else None
    return count_rows(wildcards.size, rows) * len(parse_seeds(wildcards.seeds))


def group_of_steps(wildcards):
    """One job for all that comes before the trainings of a block of seeds, or of several short ones."""
    if not ON_CLUSTER:
        return None
    return "short-steps" if rows_at_most(wildcards) <= SHORT else "steps"


def group_of_run(wildcards):
    """One job for all that is done for a run, or for several short ones that use no GPU."""
    if not ON_CLUSTER:
        return None
    rows = rows_at_most(wildcards) * descents(wildcards)
    short = rows <= SHORT and not on_gpu(wildcards)
    return "short-runs" if short else "run"


def on_gpu(wildcards):
    return SITE.most_gpus > 0 and family_of_run(wildcards).uses_gpu


def pretrained_on_gpu(wildcards):
    """Whether a checkpoint is a network, and not a table of vectors."""
    return SITE.most_gpus > 0 and STUDY.pretrained[wildcards.checkpoint].architecture != "vectors"


def gpu_model(wildcards):
    return SITE.gpu_type if on_gpu(wildcards) else None


def partition_of_run(wildcards):
    """One partition for all that is done for a run, as it is done in one job."""
    return SITE.partition(on_gpu(wildcards))


def prepare_asks(wildcards, input):
    return prepare_request(input)


def collect_corpus_asks(wildcards, input):
    return corpus_request([*input.pool_manifests, *input.test_manifests])


def make_checkpoint_asks(wildcards, input):
    return corpus_request([input.pool_manifest, *input.test_manifests])


def similarity_asks(wildcards, input):
    return corpus_request([input.pool_manifest, input.source_pool_manifest])


def pretrain_asks(wildcards, input):
    start = input.start if "start" in input.keys() else None
    recipe = STUDY.pretrained[wildcards.checkpoint]
    return pretraining_request(recipe, input.corpus, start, SITE)


def subsample_asks(wildcards, input):
    return data_request("subsample", input.manifest)


def fit_vocabulary_asks(wildcards, input):
    most = STUDY.vocabulary_zoo[wildcards.vocabulary].sample_texts
    return data_request("fit_vocabulary", input.manifest, wildcards.size, most)


def encode_asks(wildcards, input):
    return data_request("encode", input.manifest)


def encode_subsample_asks(wildcards, input):
    return data_request("encode", input.manifest, wildcards.size)


def inputs_of_run(wildcards, input):
    """What is known of a run before it is trained, or scores the test texts."""
    return Inputs(
        family=family_of_run(wildcards),
        dataset=dataset_of(wildcards),
        manifest=input.manifest,
        texts=input.texts_manifest,
        pretrained=input.checkpoint if "checkpoint" in input.keys() else None,
        vocabulary=STUDY.vocabulary_zoo.get(vocabulary_of(wildcards)),
    )


def train_asks(wildcards, input):
    inputs = inputs_of_run(wildcards, input)
    return training_request(inputs, wildcards.size, wildcards.seeds, STUDY.validation, SITE)


def predict_asks(wildcards, input):
    return prediction_request(inputs_of_run(wildcards, input), wildcards.seeds, SITE)


def score_asks(wildcards, input):
    return gap_request([input.predictions])


def forgetting_asks(wildcards, input):
    return forgetting_request(input.weights, wildcards.seeds, int(on_gpu(wildcards)))


def bridge_asks(wildcards, input):
    source = own_masked_lm(wildcards.checkpoint)
    return bridge_request(input.checkpoint, source.block if source else 0)


def timed_on_gpu(wildcards):
    return any(map(on_gpu, timed_of(wildcards.dataset)))


def latency_asks(wildcards, input):
    gpus = int(timed_on_gpu(wildcards))
    return latency_request(input.weights, input.checkpoints, dataset_of(wildcards), gpus)


def estimate_gap_asks(wildcards, input):
    return gap_request(input.predictions)


def tell_expected_gaps():
    """Before anything runs, say how small a gap the study is expected to tell."""
    for line in expected_gaps(STUDY, Path(RESULTS)):
        print(f"note: {line}", file=sys.stderr)


# Snakemake knows its executor after it has read the rules only; "-np" is a dry run, too.
dry = any(re.fullmatch("-[A-Za-z]*n[A-Za-z]*|--dry-?run", word) for word in sys.argv)
# A finished study has a section on it in its summary.
if workflow.is_main_process and STANDALONE and dry and not is_finished():
    tell_expected_gaps()


def using_slurm():
    return workflow.executor_plugin.name == "slurm"


def check_cluster():
    """Before the first job, ask SLURM whether it would take this study's jobs."""
    try:
        if using_slurm():
            check_site(DEFAULT_RESOURCES)
    except UserError as error:
        sys.exit(f"error: {error}")


def explain_refusals(jobs):
    """What SLURM says of the jobs, or groups of jobs, that it would refuse; Snakemake does not."""
    try:
        return {refusal(job.resources) for job in jobs} - {None} if using_slurm() else set()
    except UserError as error:
        return {str(error)}
