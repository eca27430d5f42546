"""Any family, on images and on tables: trained, grown, relaxed, pruned, inherited from, and exported."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load

from evaluators.autoencoder.families import LOSSES
from evaluators.autoencoder.task import AutoencoderTask
from evaluators.inheritance.transfer import inherit_weights
from nas.core.errors import UserError
from nas.core.job import PruneChannels, TrainSupernet
from nas.core.space import sample
from nas.core.supernet import SupernetPlan
from nas.core.trial import Proposal, Start, Trial
from nas.data.columns import Column
from nas.data.dataset import Dataset, Split
from nas.data.splitting import hide_labels
from nas.export import folder
from nas.export.folder import export_model
from nas.testing import EvaluatorContract
from search_spaces.autoencoder.families import FAMILIES
from search_spaces.autoencoder.space import AutoencoderSpace
from tests.conftest import SMALL, tiny_data
from tests.parts.export import CARD
from tests.parts.supernets import base_of

KINDS = {
    "l1": {"family": "sparse", "sparsity": "l1"},
    "k-sparse": {"family": "sparse", "sparsity": "k_sparse"},
    "contractive": {"family": "contractive"},
    "salt and pepper": {"family": "denoising", "corruption": "salt_and_pepper"},
    "masking": {"family": "denoising", "corruption": "masking"},
    "masked": {"family": "masked"},
    "wasserstein": {"family": "wasserstein"},
    "adversarial": {"family": "adversarial"},
    "factor": {"family": "factor"},
    "conditional": {"family": "conditional"},
    "semi-supervised": {"family": "semi_supervised"},
    "ladder": {"family": "ladder"},
    "vae-gan": {"family": "vae_gan"},
    "logistic": {"family": "variational", "prior": "standard", "likelihood": "discretised_logistic"},
}
"""What there is since version 4 of the space."""
SAMPLED = {"wasserstein", "adversarial", "factor", "conditional", "semi-supervised", "ladder", "vae-gan", "logistic"}
NARROW = {"latent": 8, "width": 8, "batch_size": 16, "stages": 1, "learning_rate": 0.002}
CARD_OF_COLOURS, CARD_OF_TABLES = replace(CARD, shape=(3, 8, 8)), replace(CARD, shape=(7,), kind="vector")
every_kind = pytest.mark.parametrize("kind", KINDS)
every_kind_of_numbers = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("vae-gan", "logistic")])


def drawn(data, seed=0, **decided):
    """A genotype for the data, and its space."""
    space = AutoencoderSpace().conditioned(data.condition).shaped(data.shape)
    arising = {site: value for site, value in decided.items() if site in space.choices()}
    space = space.restrict({site: (value,) for site, value in arising.items()})
    return sample(space, np.random.default_rng(seed)), space


def make_table():
    """Five numbers, of which some are missing, and a column of words."""
    draw = torch.Generator().manual_seed(0)
    hidden = torch.randn(200, 2, generator=draw)
    words = torch.eye(2)[(hidden[:, 0] > 0).long()]
    rows = torch.cat((torch.tanh(hidden @ torch.randn(2, 5, generator=draw)), words), 1)
    rows[::9, 0] = torch.nan
    columns = (*(Column(f"x{place}") for place in range(5)), Column("sign", ("minus", "plus")))
    return Dataset("table", *(Split(part) for part in rows.split([120, 40, 40])), columns=columns)


def data_for(kind, data):
    """The data with three classes, of which some are hidden where the family may do without."""
    parts = [replace(part, labels=torch.arange(len(part)) % 3) for part in (data.train, data.validation, data.test)]
    data = replace(data, train=parts[0], validation=parts[1], test=parts[2], classes=("a", "b", "c"))
    return hide_labels(data, 0.3, 0) if kind == "semi-supervised" else data


def make_sequences():
    """Two channels of noise."""
    draw = torch.Generator().manual_seed(0)
    return Dataset("noise", *(Split(torch.randn(count, 2, 21, generator=draw)) for count in (60, 30, 30)))


def trained(data, genotype, space, epochs=1, job=None, start=None, **options):
    evaluator = AutoencoderTask.make_evaluator(space, data, epochs=epochs, **options)
    proposal = Proposal(genotype) if job is None else Proposal(genotype, (0,), job=job)
    *_, last = evaluator.evaluate(Trial(1, proposal, 1, start=start))
    return last, evaluator


def model_of(last, genotype, space, data):
    model = space.build(genotype, data.shape)
    model.load_state_dict(load(last.artifacts["weights.safetensors"]))
    return model.eval()


class TestFamilies(EvaluatorContract):
    def make(self, epochs):
        space, data = AutoencoderSpace().shaped((1, 8, 8)), data_for("conditional", tiny_data())
        return AutoencoderTask.make_evaluator(space.conditioned(data.condition), data, epochs=epochs)

    def genotypes(self):
        return [drawn(data_for(name, tiny_data()), **SMALL, **kind)[0] for name, kind in KINDS.items()]


def test_every_family_has_a_loss():
    assert set(FAMILIES) == set(LOSSES)


@every_kind
def test_any_genotype_of_a_kind_trains_and_is_delivered_as_images(kind, tmp_path):
    data = data_for(kind, tiny_data(channels=3))
    for seed in range(3):
        genotype, space = drawn(data, seed, **NARROW, **KINDS[kind])
        last, evaluator = trained(data, genotype, space)
        assert 0 < last.metrics["mse"] < 10
        assert ("denoising_mse" in last.metrics) == (kind in ("salt and pepper", "masking"))
        assert ("masked_mse" in last.metrics) == (kind == "masked")
        parts = evaluator.deliverables(genotype, model_of(last, genotype, space, data))
        assert ("decoder" in parts) == (kind in SAMPLED)
    parameters = sum(p.numel() for p in parts["autoencoder"].module.parameters())
    assert parameters == last.metrics["parameters"]
    for name, part in parts.items():
        export_model(part, tmp_path / name, card=CARD_OF_COLOURS, formats=("python", "onnx"))
        text = (tmp_path / name / "model.py").read_text()
        assert ("--samples" in text) == (kind in SAMPLED and name != "classifier")
        assert "critic" not in text
    if kind in SAMPLED:
        program = folder._import_file(tmp_path / "autoencoder" / "model.py")
        assert program.main(["--samples", "3", "--output", str(tmp_path / "new.png")]) == 0


@every_kind_of_numbers
def test_any_genotype_of_a_kind_trains_and_is_delivered_on_a_table(kind, tmp_path):
    data = data_for(kind, make_table())
    for seed in range(4):
        genotype, space = drawn(data, seed, latent=2, batch_size=16, **KINDS[kind])
        last, evaluator = trained(data, genotype, space)
        assert 0 < last.metrics["mse"] < 100
        parts = evaluator.deliverables(genotype, model_of(last, genotype, space, data))
    export_model(parts["autoencoder"], tmp_path / "made", card=CARD_OF_TABLES, formats=("python",))
    program = folder._import_file(tmp_path / "made" / "model.py")
    assert program.main(["--output", str(tmp_path / "rebuilt.csv")]) == 0
    if kind in SAMPLED:
        assert program.main(["--samples", "3", "--output", str(tmp_path / "new.csv")]) == 0
        assert len((tmp_path / "new.csv").read_text().splitlines()) == 4


@every_kind_of_numbers
def test_any_genotype_of_a_kind_trains_and_is_delivered_on_sequences(kind, tmp_path):
    data = data_for(kind, make_sequences())
    genotype, space = drawn(data, **(NARROW | {"latent": 4} | KINDS[kind]))
    last, evaluator = trained(data, genotype, space)
    parts = evaluator.deliverables(genotype, model_of(last, genotype, space, data))
    card = replace(CARD, shape=data.shape, kind="sequence")
    export_model(parts["autoencoder"], tmp_path / "made", card=card, formats=("python",))
    program = folder._import_file(tmp_path / "made" / "model.py")
    if kind in SAMPLED:
        assert program.main(["--samples", "3", "--output", str(tmp_path / "new.npy")]) == 0
        assert np.load(tmp_path / "new.npy").shape == (3, 2, 21)


@every_kind
def test_a_kind_has_supernets_searched_by_gradient_and_by_paths(kind):
    data = data_for(kind, tiny_data())
    fixed = {"network": "convolutional", "cells": "edge", "encoder_cell.nodes": 1, "decoder": "mirrored"}
    fixed |= NARROW | KINDS[kind]
    _, space = drawn(data, **fixed)
    base = base_of(space)
    order = 1 if kind == "contractive" else 2
    for plan in (SupernetPlan(1, order=order, relaxation="softmax", warm_up=0), SupernetPlan(2, warm_up=1, paths=())):
        last, _ = trained(data, base, space, job=TrainSupernet(plan))
        assert np.isfinite(last.metrics["mse"])
        assert ("alphas.json" in last.artifacts) == (plan.paths is None)


def test_a_contractive_supernet_has_no_second_order():
    _, space = drawn(tiny_data(), network="convolutional", cells="edge", **KINDS["contractive"])
    with pytest.raises(UserError, match=r"--set order 2: .* no third derivatives"):
        trained(tiny_data(), base_of(space), space, job=TrainSupernet(SupernetPlan(1, order=2, warm_up=0)))


@every_kind
def test_a_kind_is_pruned_and_trained_on(kind):
    data = data_for(kind, tiny_data())
    genotype, space = drawn(data, **(SMALL | {"latent": 8, "normalisation": "batch"} | KINDS[kind]))
    whole, _ = trained(data, genotype, space)
    start = Start(0, genotype, whole.artifacts["weights.safetensors"])
    smaller, evaluator = trained(data, genotype, space, job=PruneChannels(0.5), start=start)
    most = 0.8 if kind == "ladder" else 0.6  # what leads from layer to layer stays
    assert smaller.metrics["parameters"] < most * whole.metrics["parameters"]
    evaluator.check_prunable(genotype)


@every_kind
def test_a_kind_grows(kind):
    data = data_for(kind, tiny_data())
    fixed = {"network": "convolutional", "cells": "edge", "stages": 2, "normalisation": "batch"}
    genotype, space = drawn(data, **(NARROW | fixed | KINDS[kind]))
    last, _ = trained(data, genotype, space, epochs=3, grow=True)
    assert last.metrics["stages"] == last.metrics["stage"] == 2


@every_kind
@pytest.mark.parametrize("changed", [{}, {"latent": 16}, {"family": "plain"}])
@torch.no_grad()
def test_a_kind_inherits_from_its_own_and_from_others(kind, changed):
    data, fixed = (
        data_for(kind, tiny_data()),
        SMALL | {"latent": 8, "normalisation": "batch", "hidden_activation": "silu"},
    )
    parent, _ = drawn(data, **(fixed | KINDS[kind]))
    child, _ = drawn(data, **(fixed | (KINDS[kind] if "family" not in changed else {}) | changed))
    space = AutoencoderSpace().conditioned(data.condition).shaped(data.shape)
    models = [space.build(one, data.shape).eval() for one in (child, parent)]
    task = AutoencoderTask(space, data)
    found = inherit_weights(*models, task.run)
    assert found.share > 0.4  # what is told has a first layer of its own
    if not changed:
        assert {name for name, _ in models[0].encoder.named_parameters(prefix="encoder")} <= {*found.tensors}
