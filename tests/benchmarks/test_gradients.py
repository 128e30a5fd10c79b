"""The table of planted mistakes says what the checker finds today."""

from benchmarks import gradients, records
from benchmarks.planted import PLANTED
from nphash.gradcheck.models import WITHOUT_GRADIENT, operations
from nphash.hashers import METHODS

RESULTS = records.read(gradients.RESULT)


def test_the_stored_table_is_what_a_count_gives_now():
    assert gradients.planted() == RESULTS["planted"]


def test_all_are_found_and_four_in_five_named():
    *_, (_, planted, found, named) = gradients.rows(RESULTS)
    assert int(planted) == int(found) == len(PLANTED) >= 40
    assert int(named) >= 0.8 * int(planted)


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
