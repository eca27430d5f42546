import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.core.errors import InvalidGenotype
from nas.core.genotype import Genotype

scalars = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text())


@given(st.dictionaries(st.text(), scalars))
def test_text_is_canonical(content):
    genotype = Genotype.of("space", 1, content)
    shuffled = json.dumps(dict(reversed(json.loads(genotype.text).items())), indent=2)
    assert Genotype.parse(shuffled) == genotype
    assert genotype.content == content
    assert (genotype.space, genotype.version) == ("space", 1)


def test_one_and_true_and_one_point_zero_are_different_texts():
    ids = {Genotype.of("s", 1, {"x": value}).id for value in (1, True, 1.0)}
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "keys"),
        ('{"space":"s","version":1}', "keys"),
        ('{"space":"s","version":true,"content":{}}', "version"),
        ('{"space":"s","version":1,"content":[]}', "content"),
    ],
)
def test_what_is_no_genotype_is_refused(text, message):
    with pytest.raises(InvalidGenotype, match=message):
        Genotype.parse(text)


def test_not_a_number_has_no_canonical_text():
    with pytest.raises(ValueError, match="JSON"):
        Genotype.of("s", 1, {"x": float("nan")})


def test_changes_are_those_of_either_with_both_values():
    before, after = (Genotype.of("space", 1, content) for content in ({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}))
    assert before.list_changes(after) == {"b": (2, 3), "c": (None, 4)}
    assert after.list_changes(before) == {"b": (3, 2), "c": (4, None)}
    assert before.list_changes(before) == {}
