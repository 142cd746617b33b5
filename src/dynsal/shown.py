"""What pictures, report and viewer show of a plan: which nets, seeds and videos, and their files."""

from __future__ import annotations

from dynsal.workflow import Plan


def shown_maps(plan: Plan) -> list[str]:
    """Return the files with one map of every baseline and test video, for figure 5."""
    return [f"results/{plan.ds}/maps/{name}/{video}.h5" for name in plan.baselines for video in plan.test]


def viewed(plan: Plan, most: int = 8) -> list[str]:
    """Return the test videos that the viewer shows: all, or ``most`` of them evenly spread over the split list."""
    count = min(most, len(plan.test))
    return [plan.test[place * len(plan.test) // count] for place in range(count)]


def viewer_facts(plan: Plan) -> list[str]:
    """Return the files with what the viewer says about its videos."""
    return [f"results/{plan.ds}/viewer/{video}.json" for video in viewed(plan)]


def viewed_runs(plan: Plan) -> dict[str, int]:
    """Return the seed of every model with a curve in the viewer: the nets, the centre and, if known, the viewers."""
    beside = [name for name in ("centre", "human") if name in plan.floors]
    return {**dict.fromkeys(plan.models, plan.seeds[0]), **dict.fromkeys(beside, 0)}


def first_seed(plan: Plan, name: str) -> list[str]:
    """Return one file (such as model.safetensors) of every net's first training: the one that pictures show."""
    return [f"results/{plan.ds}/models/{model}/seed{plan.seeds[0]}/{name}" for model in plan.models]


def last_scores(plan: Plan) -> list[str]:
    """Return the score files of the last net's first seed, which choose the frames of pictures."""
    return plan.scores(plan.models[-1], plan.seeds[0])


def drawn(plan: Plan, *archs: str) -> list[str]:
    """Return what pictures of architectures show: ``arch=model`` with the first model that has it, or ``arch``."""
    first = {arch: [name for name in plan.models if plan.config.models[name].arch == arch] for arch in archs}
    return ["=".join([arch, *names[:1]]) for arch, names in first.items()]
