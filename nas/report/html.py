"""A run as one page that needs nothing else."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import torch
from markupsafe import Markup
from torch import nn

from nas.core.job import PruneChannels
from nas.core.space import Drawable
from nas.report import importance as decisions
from nas.report.charts import draw_chart
from nas.report.courses import draw_course
from nas.report.facts import Facts, encode_png
from nas.report.front import FRONT_KINDS, draw_fronts
from nas.report.graphs import draw_graph
from nas.report.layers import Part, list_parts
from nas.report.lineage import trace_lineage
from nas.report.page import render_page
from nas.report.policy import describe_policy
from nas.report.progress import describe_effort, draw_best_so_far, draw_learning_curves, list_kinds
from nas.report.proposals import find_shifts
from nas.report.repeat import describe_repeating
from nas.report.strips import draw_strips
from nas.report.supernets import list_supernets
from nas.report.trial_table import make_trial_table
from nas.report.verdict import judge
from nas.report.words import count_of, format_metric, name_metric

if TYPE_CHECKING:
    from nas.core.trial import Trial
    from nas.study.run import Run

_CELL = re.compile(r"cell \d+-\w+-\d+(?: \d+-\w+-\d+)*(?: \([^)]*\))?")
"""A cell as spaces write it down in a line."""
_DECISIONS, _STRIPS = 12, 6
_COSTS = ("parameters", "multiply_adds", "seconds", "peak_memory_mb", "latency_ms")


def render(run: Run) -> str:
    """Render the page of a run; everything in it is escaped, pictures are part of it."""
    facts = Facts(run)
    best, curves = facts.best, draw_learning_curves(facts)
    charts = draw_best_so_far(facts) if any(trial.outcome for trial in facts.trials) else []
    return render_page(
        "report.html.jinja",
        run=run,
        title=f"{_name_space(facts)} for {run.data_name}",
        lead=say_what_was_done(facts),
        best=None if best is None else _describe_best(facts, best),
        verdict=judge(facts),
        graphs=[] if best is None else _draw_graphs(facts, best),
        network=[] if best is None else _list_network(facts, best),
        pruned=best is not None and isinstance(best.job, PruneChannels),
        effort=describe_effort(facts),
        progress=[(name, draw_chart(chart), list_kinds(chart)) for name, chart in charts],
        curves=None if curves is None else (draw_chart(curves), list_kinds(curves)),
        front=facts.front,
        front_kinds=FRONT_KINDS,
        fronts=[draw_chart(chart) for chart in draw_fronts(facts)],
        importance=_describe_importance(facts),
        lineage=trace_lineage(facts),
        shifts=find_shifts(facts),
        learned=_draw_policy(facts),
        supernets=[
            (one, [draw_chart(chart) for chart in one.charts], [draw_course(course, "epoch") for course in one.courses])
            for one in list_supernets(facts)
        ],
        evaluations=[_describe_evaluation(run, number, noted) for number, noted in run.evaluations.items()],
        table=make_trial_table(facts),
        repeat=describe_repeating(facts),
    )


def _name_space(facts: Facts) -> str:
    name = facts.space.name
    known = {"gan": "GAN", "autogan": "AutoGAN", "cyclegan": "CycleGAN", "adversarialnas": "AdversarialNAS"}
    return known.get(name, _begin_sentence(name.replace("_", " ").replace("-", " ")))


def _begin_sentence(text: str) -> str:
    return text if ":" in text.split(" ")[0] else text[:1].upper() + text[1:]  # the name of a class stays as it is


def say_what_was_done(facts: Facts) -> str:
    """Say in a sentence what was searched, how, and for what."""
    config, ways = facts.run.config, {"minimize": "the least", "maximize": "the greatest"}
    wanted = " and ".join(
        f"{ways[objective.direction]} {name_metric(objective.name)}" for objective in facts.objectives
    )
    if config.genotype is not None:
        return f"One architecture was trained for {config.effort}, seed {config.seed}, on {facts.run.data_name}."
    explored = count_of(sum(trial.job.counted for trial in facts.trials), "candidate")
    searched = f"{_begin_sentence(config.strategy)} searched {explored} of the space {facts.space.name}"
    return f"{searched} on {facts.run.data_name}: {config.effort} a trial, seed {config.seed}, for {wanted}."


def _describe_best(facts: Facts, best: Trial) -> dict[str, Any]:
    tested, names = facts.run.tested, [objective.name for objective in facts.objectives]
    units = facts.units
    numbers = [
        (f"{name_metric(n)}, test part", format_metric(n, tested[n], units.get(n, ""))) for n in names if n in tested
    ]
    numbers += [
        (name_metric(n) if n in _COSTS else f"{name_metric(n)}, validation", facts.format(best, n)) for n in names
    ]
    quality = [n for n in tested if n not in names and n not in _COSTS]
    numbers += [(f"{name_metric(n)}, test part", format_metric(n, tested[n], units.get(n, ""))) for n in quality]
    numbers += [(name_metric(n), facts.format(best, n)) for n in _COSTS if n in best.metrics and n not in names]
    made = [best.proposal.origin or "proposed", f"{count_of(best.measurements[-1].epoch, 'epoch')} of training"]
    return {
        "number": best.number,
        "picture": facts.find_picture(best.number),
        "caption": f"What it makes, after {made[1]}.",
        "numbers": numbers,
        "phrases": _CELL.sub("cell as drawn below", facts.describe(best)).split("; "),
        "made": f"How it was made: {'; '.join(made)}.",
    }


def _draw_graphs(facts: Facts, best: Trial) -> list[tuple[str, Markup]]:
    if not isinstance(facts.space, Drawable):
        return []
    graphs = facts.space.graphs(best.genotype)
    return [(name.replace("_", " "), draw_graph(name, links)) for name, links in graphs.items()]


def _draw_policy(facts: Facts) -> dict[str, Any] | None:
    policy = describe_policy(facts)
    if policy is None:
        return None
    courses = [(course.name, draw_course(course, "trial")) for course in policy.courses]
    return {"facts": policy, "entropy": draw_chart(policy.entropy), "courses": courses}


def _list_network(facts: Facts, best: Trial) -> list[Part]:
    """The best's layers; a space whose models are no modules has none to list."""
    with torch.random.fork_rng(devices=[]):  # new weights are drawn, which nobody else's numbers shall depend on
        model = facts.space.build(best.genotype, facts.shape)
    return list_parts(model) if isinstance(model, nn.Module) else []


def _describe_importance(facts: Facts) -> dict[str, Any] | None:
    """Which decisions mattered; None of a space whose decisions are not known, or where nothing was searched."""
    if not facts.decisions or len(facts.trials) < 2:
        return None
    trials = [trial for trial in decisions.list_comparable(facts) if math.isfinite(trial.losses[0])]
    if len(trials) < decisions.LEAST_TRIALS:
        few = count_of(len(trials), "trial was", "trials were")
        return {"few": f"Too few to say: {few} trained to the end alike, and it takes {decisions.LEAST_TRIALS}."}
    name = facts.objective.name
    found = decisions.measure_importance(
        [facts.decisions[trial.number] for trial in trials],
        [trial.losses[0] for trial in trials],
        [trial.metrics[name] for trial in trials],
    )
    told = [one for one in found if one.beyond_chance]
    among = f"Of {count_of(len(trials), 'trial')} and {count_of(len(found), 'decision')} that differed among them, "
    if told:
        said = f"{among}{', '.join(one.site for one in told[:3])} mattered most for the {name_metric(name)}."
    else:
        said = f"{among}none can be told from chance in its say on the {name_metric(name)}: more trials would say more."
    return {
        "few": "",
        "said": said,
        "rows": [one for one in found if one.share > 0][:_DECISIONS],
        "strips": [(one.site, draw_strips(one, name_metric(name))) for one in told[:_STRIPS]],
        "method": decisions.METHOD,
    }


def _describe_evaluation(run: Run, number: int, noted: dict[str, Any]) -> dict[str, Any]:
    folder, metrics = run.evaluation_folder(number), noted["metrics"]
    files = [folder / name for name in noted["pictures"] if (folder / name).is_file()]
    return {
        "number": number,
        "uses": {use: {name: f"{metrics[name]:.4g}" for name in names} for use, names in noted["uses"].items()},
        "remarks": noted["remarks"],
        "pictures": {file.stem: encode_png(file.read_bytes()) for file in files},
    }
