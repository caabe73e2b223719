import dataclasses
from typing import Literal, get_origin

import pytest

from minillm.training import Settings
from minillm.training.settings import FREE_TO_CHANGE


def test_every_setting_survives_the_way_through_a_dictionary():
    settings = Settings(steps=7, lr=0.5, schedule="wsd", recompute=True, ema=0.5)
    assert Settings.from_dict(dataclasses.asdict(settings)) == settings


@pytest.mark.parametrize(("values", "said"), [
    ({"stesp": 3}, "no setting stesp; it has steps"),
    ({"steps": "3"}, "steps must be of type int"),
    ({"steps": True}, "steps must be of type int"),
    ({"steps": 0}, "steps must be at least 1"),
    ({"recompute": 1}, "recompute must be of type bool"),
    ({"lr": 0}, "lr must be above 0"),
    ({"lr": float("nan")}, "lr must be above 0"),
    ({"lr": -1.0}, "lr must be above 0"),
    ({"final_lr": 2.0}, "final_lr is a share"),
    ({"beta2": 1.0}, "beta2 must be at least 0 and below 1"),
    ({"warmup_steps": -1}, "warmup_steps must be 0 or more"),
    ({"schedule": "cosin"}, "schedule must be one of constant, linear, cosine, wsd"),
])
def test_nonsense_is_a_sentence(values, said):
    with pytest.raises(ValueError, match=said):
        Settings.from_dict(values)


def test_what_is_free_to_change_exists():
    names = {field.name for field in dataclasses.fields(Settings)}
    assert names >= FREE_TO_CHANGE
    assert any(get_origin(field.type) is Literal for field in dataclasses.fields(Settings)), "the schedule's choices are checked by type"
