"""What can arise, looked up before all of it is found."""

import copy
import pickle

import pytest

from nas.core.space import Decision
from search_spaces.autoencoder.space import AutoencoderSpace
from search_spaces.counting import ArisingChoices


class Counted:
    """A space's program that counts how often it runs."""

    def __init__(self) -> None:
        self.runs = 0
        self.space = AutoencoderSpace().conditioned(None)

    def __call__(self, choose) -> tuple[Decision, ...]:
        self.runs += 1
        return self.space._decisions(choose)


def test_a_site_that_always_arises_is_found_by_growing_once():
    grow = Counted()
    choices = ArisingChoices(grow)
    assert choices["latent"].site == "latent"
    assert "width" in choices
    assert grow.runs < 10


def test_everything_is_found_in_the_same_order_whatever_was_looked_up_before():
    whole, asked = ArisingChoices(Counted()), ArisingChoices(Counted())
    for site in ("latent", "decoder_width", "kl_warm_up"):
        assert asked[site].site == site
    assert list(whole.items()) == list(asked.items())
    assert len(whole) == len(list(whole))


def test_a_site_that_never_arises_is_missed_and_not_sought_twice():
    grow = Counted()
    choices = ArisingChoices(grow)
    assert "nothing" not in choices
    runs = grow.runs
    assert runs > 300
    assert choices.get("nothing") is None
    with pytest.raises(KeyError):
        choices["nothing"]
    assert grow.runs == runs


def test_equal_spaces_share_what_is_found_and_copies_go_on_alike():
    space = AutoencoderSpace().conditioned(None).restrict({"latent": (16,)})
    assert space.choices() is AutoencoderSpace().conditioned(None).restrict({"latent": (16,)}).choices()
    assert space.choices() is not AutoencoderSpace().conditioned(None).restrict({"latent": (8,)}).choices()
    choices = ArisingChoices(space._decisions)
    assert "latent" in choices
    for other in (copy.deepcopy(choices), pickle.loads(pickle.dumps(choices))):
        assert list(other.items()) == list(choices.items())
