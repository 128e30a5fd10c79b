"""Settings with which nothing can be learned are refused, one by one."""

import numpy as np
import pytest

from nphash.errors import InputError
from nphash.hashers.training.settings import ClassifierSettings, NeighbourSettings, Training


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.5),
        ("epochs", True),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", -1.0),
        ("learning_rate", (1e-3, -1e-3)),
        ("learning_rate", (0.0, 1e-3)),
        ("learning_rate", (1e-3, np.nan)),
        ("learning_rate", np.inf),
        ("learning_rate", lambda epoch: 1 - epoch),
        ("learning_rate", "0.1"),
        ("learning_rate", True),
        ("learning_rate", None),
        ("clip_norm", -1.0),
        ("clip_norm", 0),
        ("clip_norm", np.nan),
        ("clip_norm", np.inf),
        ("clip_norm", "a"),
        ("clip_norm", True),
        ("average", 0.0),
        ("average", 1.0),
        ("average", np.nan),
        ("average", "0.5"),
        ("patience", 0),
        ("patience", np.nan),
        ("patience", "2"),
        ("validation_share", 1.0),
        ("validation_share", -0.1),
        ("validation_share", np.nan),
        ("validation_share", "0.1"),
        ("validation_share", False),
        ("epochs", "5"),
        ("batch_size", np.inf),
        ("batch_size", None),
        ("engine", "cuda"),
        ("engine", None),
        ("dtype", "float16"),
    ],
)
def test_a_bad_setting_is_named(setting, value):
    with pytest.raises(InputError, match=setting):
        Training(**{setting: value}).check()


def test_good_settings_pass():
    Training().check()
    Training(epochs=1, batch_size=1, average=0.5, patience=1, validation_share=0.0, dtype="float64").check()
    Training(learning_rate=(1e-3, 0), clip_norm=5).check()  # a rate may fall to nothing


def test_numbers_of_numpy_are_good_settings():
    rate, share = np.float32(1e-3), np.float64(0.5)
    Training(
        epochs=np.int64(2),
        batch_size=np.int32(5),
        learning_rate=(rate, rate),
        clip_norm=np.float32(1),
        average=share,
        patience=np.int64(1),
        validation_share=share,
    ).check()
    Training(learning_rate=rate).check()
    NeighbourSettings(weight=np.int64(1), penalty=np.float32(1), code_temperature=share).check()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (NeighbourSettings(neighbours=0), "similarity.neighbours is 0"),
        (NeighbourSettings(lsi=2.5), "similarity.lsi is 2.5"),
        (NeighbourSettings(weight=-1), "similarity.weight is -1"),
        (NeighbourSettings(penalty=0), "similarity.penalty is 0"),
        (NeighbourSettings(weight=np.inf), "similarity.weight is inf"),
        (NeighbourSettings(code_temperature=0), "similarity.code_temperature is 0"),
        (NeighbourSettings(teacher_temperature=np.nan), "similarity.teacher_temperature is nan"),
        (NeighbourSettings(weight="1"), "similarity.weight is '1'"),
        (NeighbourSettings(penalty=True), "similarity.penalty is True"),
        (NeighbourSettings(rounds=np.nan), "similarity.rounds is nan"),
    ],
)
def test_similarities_that_cannot_be(settings, message):
    with pytest.raises(InputError, match=message):
        settings.check()
    NeighbourSettings().check()


@pytest.mark.parametrize("hidden", [0, -3, 2.5, "wide"])
def test_a_width_is_a_count(hidden):
    with pytest.raises(InputError, match=r"labels.hidden"):
        ClassifierSettings(hidden=hidden).check()
    ClassifierSettings(hidden=None).check()
