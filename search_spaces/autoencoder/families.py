"""Families of autoencoders: what each of them decides besides its network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from search_spaces.choices import Asker

LIKELIHOODS = ("gaussian", "continuous_bernoulli", "bernoulli")

Content = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """A kind of autoencoder, as evaluators.autoencoder.families trains it.

    Attributes:
        decide: asks for its decisions, as a version of the space does.
        describe: says in a few words what was decided; empty where its name says all.
        variational: its encoder gives a distribution of codes, and its decoder a likelihood.
        since: the version of the space that has it first.
    """

    decide: Callable[[Asker, int], None]
    describe: Callable[[Content], str]
    variational: bool = False
    since: int = 0


def _decide_nothing(ask: Asker, version: int) -> None:
    """Ask for nothing."""


def _decide_noise(ask: Asker, version: int) -> None:
    ask.hyperparameter("noise_variance", (0.003, 0.01, 0.03, 0.1, 0.3), ordered=True, usual=0.03)


def _decide_divergence(ask: Asker, version: int) -> None:
    """What the divergence of codes costs: in proportion, or its distance from a capacity; in nats."""
    large, early = (1.0, 2.0, 4.0, 6.0, 8.0, 16.0), version < 3
    off = early or ask.hyperparameter("capacity", ("off", 5.0, 10.0, 25.0, 50.0), usual="off") == "off"
    if not off:
        ask.hyperparameter("gamma", (10.0, 30.0, 100.0, 300.0, 1000.0), ordered=True, usual=100.0)
        return
    ask.hyperparameter("beta", large if early else (0.1, 0.25, 0.5, *large), ordered=True, usual=1.0)
    ask.hyperparameter("kl_warm_up", (0.0, 0.1, 0.2), ordered=True, usual=0.1)
    if not early:
        ask.hyperparameter("free_bits", ("off", 0.05, 0.1, 0.25, 0.5), ordered=True, usual="off")


def _describe_divergence(content: Content) -> str:
    """What the divergence of a variational model's codes costs."""
    if content.get("capacity", "off") != "off":
        return f"capacity {content['capacity']:g} nats, gamma {content['gamma']:g}"
    free = content.get("free_bits", "off")
    return f"beta {content['beta']:g}" + ("" if free == "off" else f", {free:g} nats free in each latent")


FAMILIES = {
    "plain": Family(_decide_nothing, lambda content: ""),
    "denoising": Family(_decide_noise, lambda content: f"sigma^2 {content['noise_variance']}"),
    "variational": Family(_decide_divergence, _describe_divergence, variational=True),
}
"""By name; `usual` is the first."""


def list_families(version: int) -> tuple[str, ...]:
    """The families that a version of the space has."""
    return tuple(name for name, family in FAMILIES.items() if family.since <= version)


def describe_family(content: Content) -> str:
    """A family's name, and what was decided of it in parentheses."""
    name = str(content["family"])
    said = FAMILIES[name].describe(content)
    return f"{name.replace('_', ' ')} ({said})" if said else name.replace("_", " ")
