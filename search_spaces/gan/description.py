"""A pair's decisions in one line, for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_spaces.cells.encodings import ENCODINGS
from search_spaces.gan.training import LOSSES

Content = Mapping[str, Any]


def describe_pair(content: Content) -> str:
    """Both halves, what they are told, how they are trained."""
    parts = [f"G {_describe_generator(content)}", f"D {_describe_discriminator(content)}"]
    if content["condition"] != "none":
        parts.append(f"conditioned by {content['condition']}")
    parts.append(f"latent {content['latent']}, {content['initialisation']} initialisation")
    parts.append(describe_training(content))
    return "; ".join(parts).replace("_", " ")


def describe_training(content: Content) -> str:
    """The loss, what regularises it, and the optimisers."""
    loss, more = LOSSES[content["loss"]], [describe_loss(content)]
    if not loss.relativistic and content.get("r1", 0.0) > 0:
        more.append(f"R1 {content['r1']:g}")
    if loss.targets and content["label_smoothing"] != "none":
        more.append(f"{content['label_smoothing']} smoothing {content['smoothing']:g}")
    if content["instance_noise"] > 0:
        more.append(f"instance noise {content['instance_noise']:g}")
    if content["diff_augment"] != "none":
        more.append(f"DiffAugment {content['diff_augment']}")
    more.append(describe_optimiser(content, falling=content.get("schedule") == "linear"))
    if "batch_size" in content:
        more.append(f"batch {content['batch_size']}")
    more.append(f"{content['discriminator_steps']} D a step, EMA {content['ema']:g}")
    return ", ".join(more)


def describe_optimiser(content: Content, *, falling: bool) -> str:
    """The optimiser with both rates, whether they fall, and its decays: ``Adam 0.0002/0.0004 betas 0.5 0.999``."""
    rates = f"{content['generator_learning_rate']:g}/{content['discriminator_learning_rate']:g}"
    rates += " falling" if falling else ""
    if content.get("optimiser", "adam") == "rmsprop":
        return f"RMSprop {rates} alpha {content['beta2']:g}"
    return f"Adam {rates} betas {content['beta1']:g} {content['beta2']:g}"


def describe_loss(content: Content) -> str:
    """The loss with its limit or penalties: ``relativistic, R1 0.1, R2 0.1``."""
    name = str(content["loss"])
    loss = LOSSES[name]
    if loss.clips_weights:
        return f"{name} {content['clip']:g}"
    if loss.gradient_penalty:
        return f"{name} {content['gradient_penalty']:g}"
    if loss.relativistic:
        return f"{name}, R1 {content['r1']:g}, R2 {content['r2']:g}"
    return name


def _describe_generator(content: Content) -> str:
    family, act = content["generator"], content["generator_activation"]
    if family == "fully_connected":
        layers = f"{content['generator_layers']} layers of {content['generator_hidden_width']}"
        return f"{family} {layers}, {content['generator_normalisation']} norm, {act}"
    text = f"{family} {_describe_stages(content, 'generator')}, {act}"
    if family == "cells":
        stages = [describe_up_cell(content, stage) for stage in range(content["generator_stages"])]
        text += f" [{' | '.join(stages)}]"
        if "generator_cell.nodes" in content:
            text += f" cell {ENCODINGS['edge'].describe(content, 'generator_cell')}"
        return text
    text += f", {content['up_sampling']} up"
    if family == "style":
        noise = ", noise" if content["style_noise"] else ""
        return f"{text}, mapping {content['mapping_depth']} x {content['style_width']}{noise}"
    return f"{text}, {content['generator_normalisation']} norm"


def describe_up_cell(content: Content, stage: int) -> str:
    """A generator's cell in a few words."""
    cell = f"generator_stage{stage}"
    words = [
        content.get(f"{cell}.order", "edge cell"),
        content[f"{cell}.normalisation"],
        content[f"{cell}.up_sampling"],
    ]
    words += ["shortcut"] if content[f"{cell}.shortcut"] else []
    words += [f"skip {earlier}" for earlier in range(stage) if content[f"{cell}.skip_in{earlier}"]]
    return " ".join(words)


def _describe_discriminator(content: Content) -> str:
    family, act = content["discriminator"], content["discriminator_activation"]
    if family == "fully_connected":
        text = f"{family} {content['discriminator_layers']} layers of {content['discriminator_hidden_width']}, {act}"
    else:
        text = f"{family} {_describe_stages(content, 'discriminator')}, {act}, {content['down_sampling']} down"
    norm = "batch" if content.get("discriminator_batch_norm") else content["discriminator_normalisation"]
    text += f", {norm} norm".replace("none norm", "no norm")
    if content["spectral_norm"]:
        text += ", spectral norm"
    if content["minibatch"] != "none":
        text += f", minibatch {content['minibatch']}"
    if content["dropout"] > 0:
        text += f", dropout {content['dropout']:g}"
    if family == "cells":
        text += f", cell {ENCODINGS['edge'].describe(content, 'discriminator_cell')}"
    return text


def _describe_stages(content: Content, half: str) -> str:
    growth = content[f"{half}_growth"]
    grows = f" x{growth:g} a stage" if growth != 1 else ""
    return f"{content[f'{half}_stages']} stages of width {content[f'{half}_width']}{grows}"
