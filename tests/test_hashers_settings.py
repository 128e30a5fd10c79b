"""Settings with which nothing can be learned are refused, one by one."""

import numpy as np
import pytest

from nphash.errors import InputError
from nphash.hashers.settings import Similarity, Training


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.5),
        ("epochs", True),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", -1.0),
        ("average", 0.0),
        ("average", 1.0),
        ("patience", 0),
        ("validation_share", 1.0),
        ("validation_share", -0.1),
        ("dtype", "float16"),
    ],
)
def test_a_bad_setting_is_named(setting, value):
    with pytest.raises(InputError, match=setting):
        Training(**{setting: value}).check()


def test_good_settings_pass():
    Training().check()
    Training(epochs=1, batch_size=1, average=0.5, patience=1, validation_share=0.0, dtype="float64").check()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Similarity(neighbours=0), "similarity.neighbours is 0"),
        (Similarity(lsi=2.5), "similarity.lsi is 2.5"),
        (Similarity(weight=-1), "similarity.weight is -1"),
        (Similarity(penalty=0), "similarity.penalty is 0"),
        (Similarity(weight=np.inf), "similarity.weight is inf"),
        (Similarity(code_temperature=0), "temperature of similarity"),
    ],
)
def test_similarities_that_cannot_be(settings, message):
    with pytest.raises(InputError, match=message):
        settings.check()
    Similarity().check()
