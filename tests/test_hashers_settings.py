"""Settings with which nothing can be learned are refused, one by one."""

import pytest

from nphash.errors import InputError
from nphash.hashers.settings import Training


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
