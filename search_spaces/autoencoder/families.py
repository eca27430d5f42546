"""Families of autoencoders: what each of them decides besides its network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nas.core.space import Shape
from search_spaces.choices import Asker

LIKELIHOODS = ("gaussian", "continuous_bernoulli", "bernoulli", "discretised_logistic")
"""The last since version 6 of the space."""

CRITIC_WEIGHTS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)

SOME_LABELS = 1e-9
"""The least share of labels that are not none."""

Content = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """A kind of autoencoder, as evaluators.autoencoder.families trains it.

    Attributes:
        decide: asks for its decisions, as a version of the space does.
        describe: says in a few words what was decided; empty where its name says all.
        variational: its encoder gives a distribution of codes, and its decoder a likelihood.
        since: the version of the space that has it first.
        labels: the share of the examples whose classes it must be told, at least; 0 where it needs to know of none.
        of_images: whether it is of images alone.
        likelihood: whether a variational one is trained with a likelihood of the example, which is then decided.
        decide_patches: asks for what is decided besides of what has patches: of all but vectors.
    """

    decide: Callable[[Asker, int], None]
    describe: Callable[[Content], str]
    variational: bool = False
    since: int = 0
    labels: float = 0.0
    of_images: bool = False
    likelihood: bool = True
    decide_patches: Callable[[Asker], None] = lambda ask: None


def _decide_nothing(ask: Asker, version: int) -> None:
    """Ask for nothing."""


def _decide_corruption(ask: Asker, version: int) -> None:
    kinds = ("gaussian", "salt_and_pepper", "masking")
    if version < 4 or ask.hyperparameter("corruption", kinds, usual="gaussian") == "gaussian":
        ask.hyperparameter("noise_variance", (0.003, 0.01, 0.03, 0.1, 0.3), ordered=True, usual=0.03)
    else:
        ask.hyperparameter("corrupted_share", (0.05, 0.1, 0.25, 0.4, 0.6), ordered=True, usual=0.25)


def _describe_corruption(content: Content) -> str:
    if "noise_variance" in content:
        return f"sigma^2 {content['noise_variance']}"
    return f"{content['corruption'].replace('_', ' ')}, {content['corrupted_share']:.0%} of values"


def _decide_sparsity(ask: Asker, version: int) -> None:
    if ask.structure("sparsity", ("l1", "k_sparse"), usual="l1") == "l1":
        ask.hyperparameter("l1_weight", (0.003, 0.01, 0.03, 0.1, 0.3, 1.0), ordered=True, usual=0.03)
    else:
        ask.structure("kept_share", (0.03125, 0.0625, 0.125, 0.25, 0.5), ordered=True, usual=0.25)


def _describe_sparsity(content: Content) -> str:
    if "l1_weight" in content:
        return f"L1 {content['l1_weight']:g}"
    return f"k-sparse, {count_kept(content)} of {content['latent']} values kept"


def count_kept(content: Content) -> int:
    """Count the values that a k-sparse code keeps."""
    return max(1, round(float(content["kept_share"]) * int(content["latent"])))


def _decide_contraction(ask: Asker, version: int) -> None:
    weights = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
    ask.hyperparameter("contraction_weight", weights, ordered=True, usual=0.003)


def _decide_mask(ask: Asker, version: int) -> None:
    ask.hyperparameter("masked_share", (0.15, 0.25, 0.5, 0.75), ordered=True, usual=0.5)


def _decide_patches(ask: Asker) -> None:
    ask.hyperparameter("patches_a_side", (4, 7, 14), ordered=True, usual=7)


def _describe_mask(content: Content) -> str:
    patches = f", {content['patches_a_side']} patches a side" if "patches_a_side" in content else ""
    return f"{content['masked_share']:.0%} hidden{patches}"


def _decide_discrepancy(ask: Asker, version: int) -> None:
    ask.hyperparameter("mmd_weight", (1.0, 3.0, 10.0, 30.0, 100.0, 300.0), ordered=True, usual=10.0)


def _decide_critic(ask: Asker, version: int) -> None:
    ask.hyperparameter("adversarial_weight", (0.3, 1.0, 3.0, 10.0, 30.0), ordered=True, usual=3.0)


def _decide_total_correlation(ask: Asker, version: int) -> None:
    weights = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
    ask.hyperparameter("total_correlation_weight", weights, ordered=True, usual=10.0)
    _decide_warm_up(ask)


def _decide_warm_up(ask: Asker) -> None:
    ask.hyperparameter("kl_warm_up", (0.0, 0.1, 0.2), ordered=True, usual=0.1)


def _decide_variational(ask: Asker, version: int) -> None:
    """Ask for the prior, and what the divergence from it costs."""
    prior = _decide_prior(ask, version) if version >= 4 else "standard"
    _decide_divergence(ask, version, frees=prior == "standard")


def _decide_prior(ask: Asker, version: int) -> str:
    """Ask for what codes are compared with: N(0, 1), a learned mixture, pseudo-inputs' posteriors, or a flow."""
    kinds = ("standard", "mixture", "vamp", *(("flow",) if version >= 6 else ()))
    prior = str(ask.structure("prior", kinds, usual="standard"))
    if prior == "flow":
        ask.structure("flow_steps", (2, 4, 8), ordered=True, usual=4)
    elif prior != "standard":
        ask.structure("prior_components", (10, 50, 200), ordered=True, usual=50)
    return prior


def _decide_divergence(ask: Asker, version: int, *, frees: bool = True) -> None:
    """What the divergence of codes costs: in proportion, or its distance from a capacity; in nats.

    Some of each latent are free where it is known of each.
    """
    large, early = (1.0, 2.0, 4.0, 6.0, 8.0, 16.0), version < 3
    off = early or ask.hyperparameter("capacity", ("off", 5.0, 10.0, 25.0, 50.0), usual="off") == "off"
    if not off:
        ask.hyperparameter("gamma", (10.0, 30.0, 100.0, 300.0, 1000.0), ordered=True, usual=100.0)
        return
    ask.hyperparameter("beta", large if early else (0.1, 0.25, 0.5, *large), ordered=True, usual=1.0)
    _decide_warm_up(ask)
    if not early and frees:
        ask.hyperparameter("free_bits", ("off", 0.05, 0.1, 0.25, 0.5), ordered=True, usual="off")


def _describe_divergence(content: Content) -> str:
    """What the divergence of a variational model's codes costs."""
    if content.get("capacity", "off") != "off":
        return f"capacity {content['capacity']:g} nats, gamma {content['gamma']:g}"
    free = content.get("free_bits", "off")
    return f"beta {content['beta']:g}" + ("" if free == "off" else f", {free:g} nats free in each latent")


def _describe_variational(content: Content) -> str:
    return ", ".join([*_describe_prior(content), _describe_divergence(content)])


def _describe_prior(content: Content) -> list[str]:
    """A phrase about the prior, and none of N(0, 1)."""
    match content.get("prior", "standard"):
        case "mixture":
            return [f"a mixture of {content['prior_components']} as the prior"]
        case "vamp":
            return [f"the posteriors of {content['prior_components']} pseudo-inputs as the prior"]
        case "flow":
            return [f"a flow of {content['flow_steps']} steps as the prior"]
    return []


def _decide_importance(ask: Asker, version: int) -> None:
    """Ask for the prior, how many codes of an example weigh each other, and how the encoder's gradient is estimated."""
    _decide_prior(ask, version)
    ask.hyperparameter("importance_samples", (5, 10, 50), ordered=True, usual=5)
    ask.hyperparameter("gradient", ("doubly_reparameterised", "plain"), usual="doubly_reparameterised")


def _describe_importance(content: Content) -> str:
    gradient = f"{content['gradient'].replace('_', ' ')} gradient"
    return ", ".join([*_describe_prior(content), f"{content['importance_samples']} samples", gradient])


def _decide_codebook(ask: Asker, version: int) -> None:
    ask.structure("codebook_size", (16, 32, 64, 128, 256, 512, 1024), ordered=True, usual=256)
    ask.structure("code_dimension", (2, 4, 8, 16, 32, 64), ordered=True, usual=4)


def _describe_codebook(content: Content) -> str:
    groups = content["latent"] // (dimension := find_dimension(content))
    return f"{groups} groups of {dimension}, a codebook of {content['codebook_size']}"


def find_dimension(content: Content) -> int:
    """The size of the vectors that a code is cut into: the largest that divides both the code and what is decided."""
    return math.gcd(content["latent"], content["code_dimension"])


def _decide_levels(ask: Asker, version: int) -> None:
    ask.structure("levels", (2, 3, 4, 5, 8, 16, 32), ordered=True, usual=8)


def _decide_categories(ask: Asker, version: int) -> None:
    """Ask for the number of categories that each latent has, how nearly they are one at the end, and what they cost."""
    ask.structure("categories", (2, 4, 8, 16, 32), ordered=True, usual=8)
    ask.hyperparameter("final_temperature", (0.1, 0.2, 0.5, 1.0), ordered=True, usual=0.5)
    _decide_divergence(ask, version)


def _describe_categories(content: Content) -> str:
    cost = _describe_divergence(content)
    return f"{content['categories']} categories, temperature to {content['final_temperature']:g}, {cost}"


def _decide_classes(ask: Asker, version: int) -> None:
    """Ask for what an error of the classifier costs, and the divergence of codes."""
    weights = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
    ask.hyperparameter("classification_weight", weights, ordered=True, usual=10.0)
    _decide_divergence(ask, version)


def _describe_classes(content: Content) -> str:
    return f"classification weight {content['classification_weight']:g}, {_describe_divergence(content)}"


def _decide_similarity(ask: Asker, version: int) -> None:
    """Ask for what it costs that a critic knows decoded images, and the divergence of codes."""
    ask.hyperparameter("critic_weight", CRITIC_WEIGHTS, ordered=True, usual=30.0)
    _decide_divergence(ask, version)


def _describe_similarity(content: Content) -> str:
    return f"critic weight {content['critic_weight']:g}, {_describe_divergence(content)}"


def _decide_ladder(ask: Asker, version: int) -> None:
    ask.structure("latent_layers", (2, 3, 4), ordered=True, usual=2)
    _decide_divergence(ask, version)


def _describe_ladder(content: Content) -> str:
    return f"layers of {', '.join(map(str, list_layers(content)))}, {_describe_divergence(content)}"


def list_layers(content: Content) -> tuple[int, ...]:
    """The sizes of a ladder's layers, the lowest first: each is half of the one below."""
    return tuple(max(1, int(content["latent"]) >> layer) for layer in range(content["latent_layers"]))


FAMILIES = {
    "plain": Family(_decide_nothing, lambda content: ""),
    "denoising": Family(_decide_corruption, _describe_corruption),
    "variational": Family(_decide_variational, _describe_variational, variational=True),
    "sparse": Family(_decide_sparsity, _describe_sparsity, since=4),
    "contractive": Family(_decide_contraction, lambda content: f"weight {content['contraction_weight']:g}", since=4),
    "masked": Family(_decide_mask, _describe_mask, since=4, decide_patches=_decide_patches),
    "wasserstein": Family(_decide_discrepancy, lambda content: f"MMD, weight {content['mmd_weight']:g}", since=4),
    "adversarial": Family(_decide_critic, lambda content: f"weight {content['adversarial_weight']:g}", since=4),
    "factor": Family(
        _decide_total_correlation,
        lambda content: f"total correlation, weight {content['total_correlation_weight']:g}",
        variational=True,
        since=4,
    ),
    "importance_weighted": Family(_decide_importance, _describe_importance, variational=True, since=4),
    "vector_quantised": Family(_decide_codebook, _describe_codebook, since=4),
    "finite_scalar": Family(_decide_levels, lambda content: f"{content['levels']} levels", since=4),
    "gumbel": Family(_decide_categories, _describe_categories, variational=True, since=4),
    "conditional": Family(_decide_divergence, _describe_divergence, variational=True, since=5, labels=1.0),
    "semi_supervised": Family(_decide_classes, _describe_classes, variational=True, since=5, labels=SOME_LABELS),
    "ladder": Family(_decide_ladder, _describe_ladder, variational=True, since=5),
    "vae_gan": Family(
        _decide_similarity, _describe_similarity, variational=True, since=6, of_images=True, likelihood=False
    ),
}
"""By name; `usual` is the first."""


def list_families(version: int, shape: Shape | None) -> tuple[str, ...]:
    """The families that a version of the space has for examples of a shape; of images where it is not known."""
    pictured = shape is None or len(shape) == 3
    return tuple(name for name, one in FAMILIES.items() if one.since <= version and (pictured or not one.of_images))


def describe_family(content: Content) -> str:
    """A family's name, and what was decided of it in parentheses."""
    name = str(content["family"])
    said = FAMILIES[name].describe(content)
    return f"{name.replace('_', ' ')} ({said})" if said else name.replace("_", " ")
