import pytest

from nphash.gradcheck import Report, passed


@pytest.mark.parametrize(
    ("verdict", "fine"),
    [("ok", True), ("straight-through", True), ("kinks only", False), ("wrong", False), ("invalid", False)],
)
def test_which_verdicts_pass(verdict, fine):
    report = Report("f", "x", verdict)
    assert report.passed is fine
    assert passed([Report("f", "y", "ok"), report]) is fine


def test_no_reports_pass():
    assert passed([])
