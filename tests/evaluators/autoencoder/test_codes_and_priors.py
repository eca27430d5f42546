"""Autoencoders with discrete codes, importance-weighted bounds and learned priors, from a genotype to its export."""

import numpy as np
import pytest
import torch
from safetensors.torch import load

from evaluators.autoencoder.bounds import as_autoencoder
from evaluators.autoencoder.examination import make_subject
from evaluators.autoencoder.task import AutoencoderTask
from evaluators.inheritance.transfer import inherit_weights
from nas.core.job import TrainSupernet
from nas.core.space import sample
from nas.core.supernet import SupernetPlan
from nas.core.trial import Proposal, Trial
from nas.export import folder
from nas.export.folder import export_model
from nas.testing import EvaluatorContract
from search_spaces.autoencoder.space import AutoencoderSpace
from tests.conftest import SMALL, tiny_data
from tests.parts.export import CARD
from tests.parts.mixed_tables import make_mixed_table
from tests.parts.supernets import FIXED, base_of

FAMILIES = [
    {"family": "importance_weighted", "importance_samples": 5},
    {"family": "vector_quantised"},
    {"family": "finite_scalar"},
    {"family": "gumbel"},
    {"family": "variational", "prior": "mixture"},
    {"family": "variational", "prior": "vamp", "prior_components": 10},
    {"family": "variational", "prior": "flow"},
]
NATS = {"elbo", "log_likelihood", "kl", "iwae_bound"}
NAMES = [pins.get("prior", pins["family"]) for pins in FAMILIES]
each_family = pytest.mark.parametrize("pins", FAMILIES, ids=NAMES)


def draw(pins, data, seed=0, **more):
    space = AutoencoderSpace().conditioned(None).shaped(data.shape)
    space = space.restrict({site: (value,) for site, value in {**pins, **more}.items()})
    return space, sample(space, np.random.default_rng(seed))


def train(space, genotype, data, epochs=1):
    evaluator = AutoencoderTask.make_evaluator(space, data, epochs=epochs)
    *_, last = evaluator.evaluate(Trial(0, Proposal(genotype), 1))
    model = space.build(genotype, data.shape)
    model.load_state_dict(load(last.artifacts["weights.safetensors"]))
    return evaluator, model.eval(), last.metrics


class TestFamilies(EvaluatorContract):
    def make(self, epochs):
        space = (
            AutoencoderSpace().conditioned(None).restrict({"latent": (8,), "hidden_width": (64,), "batch_size": (16,)})
        )
        return AutoencoderTask.make_evaluator(space, tiny_data(), epochs=epochs)

    def genotypes(self):
        return [draw(pins, tiny_data(), latent=8, **SMALL)[1] for pins in FAMILIES]


@each_family
@pytest.mark.parametrize("seed", range(3))
def test_any_genotype_trains_on_a_table_and_its_export_gives_the_same(pins, seed, tmp_path):
    data = make_mixed_table()
    space, genotype = draw(pins, data, seed, hidden_width=64) if seed else draw(pins, data, stages=0)
    evaluator, model, metrics = train(space, genotype, data)
    assert (set(metrics) >= NATS) == model.variational
    (part,) = evaluator.deliverables(genotype, model).values()
    export_model(part, tmp_path / "best", card=CARD, formats=("python",))
    program = folder._import_file(tmp_path / "best" / "model.py")
    assert program.main(["--codes", "--output", str(tmp_path / "codes.csv")]) == 0
    assert ("--samples" in (tmp_path / "best" / "model.py").read_text()) == model.variational
    if model.variational:
        assert program.main(["--samples", "7", "--output", str(tmp_path / "new.csv")]) == 0
        assert len((tmp_path / "new.csv").read_text().splitlines()) == 8


@each_family
def test_every_part_of_a_model_of_images_is_exported_in_every_format(pins, tmp_path):
    data = tiny_data()
    space, genotype = draw(pins, data, latent=8, normalisation="batch", **SMALL)
    evaluator, model, _ = train(space, genotype, data)
    parts = evaluator.deliverables(genotype, model)
    discrete = hasattr(model, "quantiser")
    assert set(parts) == {
        "autoencoder",
        *(["decoder"] if model.variational else []),
        *(["encoder", "index_decoder"] if discrete else []),
    }
    for name, part in parts.items():
        export_model(part, tmp_path / name, card=CARD)
    program = folder._import_file(tmp_path / "autoencoder" / "model.py")
    images = data.test.examples[:5].float() / 255
    with torch.no_grad():
        if discrete:
            indices = program.load().encode_indices(images)
            assert torch.equal(indices, model.encode_indices(images))
            assert torch.allclose(program.load().decode_indices(indices), model(images), atol=1e-5)
            encode, decode = (folder._import_file(tmp_path / name / "model.py").load() for name in list(parts)[-2:])
            assert torch.allclose(decode(encode(images)), model(images), atol=1e-5)
            assert "encode_indices" in (tmp_path / "autoencoder" / "README.md").read_text()
        if model.variational:
            generator = folder._import_file(tmp_path / "decoder" / "model.py")
            drawn = program.sample(program.load(), 6, 2)
            noise = torch.randn(6, generator.LATENT, generator=torch.Generator().manual_seed(2))
            assert torch.allclose(generator.load()(noise), drawn, atol=1e-5)


@each_family
def test_a_convolutional_model_trains_too(pins):
    data = tiny_data(channels=3)
    space, genotype = draw(pins, data, 3, network="convolutional", width=8, latent=8, stages=1, cells="edge",
                           decoder="mirrored")  # fmt: skip
    _, _, metrics = train(space, genotype, data)
    assert ("codebook_perplexity" in metrics) == (pins["family"] == "vector_quantised")


@each_family
def test_a_model_is_judged_by_its_uses(pins, monkeypatch):
    monkeypatch.setattr("evaluators.examination.examination.EMBEDDED", 9)
    data = tiny_data(count=200)
    space, genotype = draw(pins, data, latent=8, **SMALL)
    evaluator, model, _ = train(space, genotype, data)
    found = evaluator.examine(genotype, model, 0, bound_samples=3)
    assert (set(found.metrics) >= NATS) == model.variational
    if pins["family"] == "vector_quantised":
        assert 1 <= found.metrics["codebook_perplexity"] <= genotype.content["codebook_size"]
        assert any("vectors of the codebook are used" in remark for remark in found.remarks)
    assert {"codes.png", "traversals.png"} <= set(found.pictures)


def test_what_lies_between_discrete_codes_is_decoded_as_the_nearest():
    data = tiny_data()
    space, genotype = draw({"family": "finite_scalar", "levels": 5}, data, latent=8, **SMALL)
    model = space.build(genotype, data.shape).eval()
    subject = make_subject(as_autoencoder(model), {}, "", data.train.examples, torch.device("cpu"), 0)
    codes = model.encode(torch.rand(4, 1, 8, 8))
    assert torch.equal(subject.decode(codes + 0.1), model.decode(codes))


@pytest.mark.parametrize("objective", ["mse", "elbo"])
def test_default_searches_leave_these_families_out(objective):
    needed = {
        a.site: a.values
        for a in AutoencoderTask(AutoencoderSpace().conditioned(None), tiny_data()).assumptions(objective)
    }
    assert needed["family"] == {"mse": ("plain", "denoising"), "elbo": ("variational",)}[objective]


def test_a_codebook_is_inherited_with_its_usage_or_not_at_all():
    data = tiny_data()
    pins = {"family": "vector_quantised", "codebook_size": 64, "code_dimension": 4, "latent": 16, **SMALL}
    _, genotype = draw(pins, data)
    _, other = draw({**pins, "code_dimension": 8}, data)
    parent, same, changed = (
        AutoencoderSpace().conditioned(None).build(one, data.shape) for one in (genotype, genotype, other)
    )
    parent.quantiser.usage.fill_(3)
    for child in (same, changed):
        inherit_weights(child.eval(), parent.eval(), lambda model: model(torch.rand(2, *data.shape)))
    assert torch.equal(same.quantiser.codebook, parent.quantiser.codebook)
    assert (same.quantiser.usage == 3).all()
    assert (changed.quantiser.usage == 0).all()


def test_discrete_and_weighted_families_have_supernets():
    for pins in FAMILIES[:4]:
        fixed = {site: values for site, values in FIXED.items() if site != "loss"} | {"encoder_cell.nodes": (1,)}
        space = AutoencoderSpace().conditioned(None).restrict(fixed | {site: (value,) for site, value in pins.items()})
        evaluator = AutoencoderTask.make_evaluator(space, tiny_data(), epochs=1)
        plan = SupernetPlan(epochs=1, order=2, learning_rate=0.05, samples=2)
        *_, last = evaluator.evaluate(Trial(0, Proposal(base_of(space), job=TrainSupernet(plan)), 1))
        assert len(last.derived) >= 1
