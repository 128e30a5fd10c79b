"""What duplicates and neighbours share."""

import sys

from helpers.collecting import Stream, opened, streams
from nphash.cli import joining
from nphash.cli.joining import documents_in_order, join_progress


def test_progress_is_shown_on_a_terminal_only(monkeypatch):
    monkeypatch.setattr(joining, "SECONDS_BETWEEN_UPDATES", 0)
    terminal, pipe = Stream(tty=True), Stream()
    with streams(sys.stdin, sys.stdout, terminal):
        show = join_progress(quiet=False)
        show(1500, 3000)
        show(3000, 3000)
        assert join_progress(quiet=True) is None
    assert terminal.text() == "\rcompared: 1,500 of 3,000 documents\rcompared: 3,000 of 3,000 documents\n"
    with streams(sys.stdin, sys.stdout, pipe):
        assert join_progress(quiet=False) is None


def test_documents_come_in_the_order_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(joining, "AT_ONCE", 3)
    with opened(tmp_path) as collection:
        wanted = [4, 0, 29, 4, 7, 7, 1]
        assert [document.id for document in documents_in_order(collection, wanted)] == [
            f"d{i}" for i in wanted
        ]
