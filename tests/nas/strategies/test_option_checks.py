"""Options that do not fit are refused in a line that says what is allowed."""

import pytest

from nas.core.errors import UserError
from nas.strategies.option_checks import (
    require,
    require_at_least,
    require_evolvable,
    require_probability,
    require_share,
)
from nas.testing.toys import ToySpace


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: require(False, "sample", 9, "1 to 4"), "--set sample 9 is not accepted; allowed: 1 to 4"),
        (lambda: require_at_least(2, fine=2, population=1), "--set population 1 .*allowed: 2 or more"),
        (lambda: require_probability(fine=0, usual=1.5), "--set usual 1.5 .*allowed: 0 to 1"),
        (lambda: require_probability(usual=float("nan")), "--set usual nan"),
        (lambda: require_share(fine=1, alpha=0), "--set alpha 0 .*allowed: more than 0, at most 1"),
        (
            lambda: require_evolvable(object(), "local"),
            "--strategy 'local' .*allowed: spaces that can mutate a genotype",
        ),
    ],
)
def test_what_does_not_fit_is_refused(check, message):
    with pytest.raises(UserError, match=message):
        check()


def test_what_fits_passes():
    space = ToySpace()
    assert require_evolvable(space, "local") is space
    require_at_least(1, population=None, sample=1)
    require_probability(mutation=None, usual=1)
