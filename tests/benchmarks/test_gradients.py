"""The table of planted mistakes says what the checker finds today."""

import pytest

from benchmarks import gradients, records
from benchmarks.foreign import OPERATIONS
from benchmarks.foreign_planted import FOREIGN, find_foreign, named
from benchmarks.planted import PLANTED
from nphash import gradcheck
from nphash.gradcheck.models import WITHOUT_GRADIENT, operations
from nphash.hashers import METHODS

RESULTS = records.read(gradients.RESULT)


def test_the_stored_table_is_what_a_count_gives_now():
    assert gradients.planted() == RESULTS["planted"]


def test_all_are_found_and_four_in_five_named():
    *_, (_, planted, found, named) = gradients.rows(RESULTS)
    assert int(planted) == int(found) == len(PLANTED) >= 40
    assert int(named) >= 90


def test_of_others_mistakes_nearly_all_are_found_and_four_in_five_named():
    others = RESULTS["others"]
    assert others["operations"] == len(OPERATIONS) >= 25
    assert others["planted"] == len(FOREIGN) >= 60
    assert others["found"] >= 0.95 * others["planted"]
    assert others["named"] >= 0.8 * others["planted"]
    assert sum(cases for cases, _ in others["false alarms"].values()) >= 2000
    assert not any(alarms for _, alarms in others["false alarms"].values())


@pytest.mark.slow
def test_what_is_stored_of_others_is_what_a_count_gives_now():
    found = [(find_foreign(name, text, mistake), cause) for name, text, mistake, cause in FOREIGN]
    others = RESULTS["others"]
    assert sum(not gradcheck.passed(reports) for reports, _ in found) == others["found"]
    assert sum(named(reports, cause) for reports, cause in found) == others["named"]


def test_no_false_alarm_in_a_thousand_cases():
    for cases, alarms in RESULTS["false alarms"].values():
        assert cases >= 1000 and alarms == 0


def test_the_full_check_takes_no_longer_than_a_minute_and_leaves_nothing_out():
    full = RESULTS["full check"]
    assert full["seconds"] <= 60
    assert full["operations"] == len({case.title for case in operations()})
    own = [name for name in METHODS if METHODS[name].startswith("nphash.")]
    assert full["methods"] == len(own) - len(WITHOUT_GRADIENT)


def test_text_and_sentence():
    text = gradients.text(RESULTS)
    assert text.splitlines()[0].split() == ["mistake", "planted", "found", "named"]
    cases = gradients.SEEDS * len(operations())
    assert f"False alarms: 0 in {cases:,} random cases in float64" in text
    assert "nphash gradcheck" in gradients.sentence(RESULTS)
