import pytest

from nphash.errors import InputError
from nphash.text.settings import VectorizerSettings


def test_presets():
    assert VectorizerSettings.preset() == VectorizerSettings()
    vdsh = VectorizerSettings.preset("vdsh")
    assert (vdsh.min_documents, vdsh.max_share, vdsh.max_words, vdsh.weighting) == (3, 0.8, 10_000, "tfidf")


def test_unknown_preset():
    with pytest.raises(InputError, match="'gensim' is no preset: choose one of default, vdsh"):
        VectorizerSettings.preset("gensim")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"min_documents": 0}, "min_documents is 0"),
        ({"max_share": 0.0}, "max_share is 0.0"),
        ({"max_share": 1.01}, "max_share is 1.01"),
        ({"max_share": float("nan")}, "max_share is nan"),
        ({"max_words": 0}, "max_words is 0, but at least 1 is needed: None keeps all"),
        ({"weighting": "count"}, "'count' is no weighting: choose one of binary"),
        ({"pattern": "("}, "not a regular expression"),
    ],
)
def test_values_out_of_range(values, message):
    with pytest.raises(InputError, match=message):
        VectorizerSettings(**values)
