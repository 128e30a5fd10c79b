import random
from email.message import EmailMessage

import pytest

from helpers.corpora import failure, write
from nphash.corpus import ReadOptions, read_documents
from nphash.corpus.mail import read_message


def message(text="They sing.\n", subject="Whäles", **also):
    made = EmailMessage()
    made["Subject"], made["From"], made["Date"] = (
        subject,
        "Ann <ann@x.org>",
        "Sun, 29 Nov 2026 00:00:00 +0000",
    )
    made.set_content(text, **also)
    return made


def test_subject_and_text():
    text, fields = read_message(message().as_bytes(), "a", 0)
    assert text == "Whäles\n\nThey sing."
    assert fields["title"] == "Whäles" and fields["from"] == "Ann <ann@x.org>" and "to" not in fields
    assert fields["date"] == "2026-11-29T00:00:00+00:00"


@pytest.mark.parametrize(
    ("date", "kept"),
    [
        ("Mon, 02 Mar 2020 10:00:00 +0000", "2020-03-02T10:00:00+00:00"),
        ("2 Mar 2020 10:00 -0500 (EST)", "2020-03-02T10:00:00-05:00"),
        ("last week", None),
        ("Mon, 99 Mar 2020 10:00:00 +0000", None),
        ("", None),
    ],
)
def test_dates_are_kept_so_that_they_compare_rightly(date, kept):
    fields = read_message(f"Subject: x\nDate: {date}\n\ny\n".encode(), "a", 0)[1]
    assert fields.get("date") == kept


def test_plain_text_is_preferred_and_attachments_are_left_out():
    made = message()
    made.add_alternative("<p>They <b>shout</b>.</p>", subtype="html")
    made.add_attachment(b"secret", maintype="application", subtype="zip", filename="a.zip")
    assert read_message(made.as_bytes(), "a", 0)[0] == "Whäles\n\nThey sing."
    only = message("<script>no</script><p>They sing", subtype="html")
    assert read_message(only.as_bytes(), "a", 0)[0] == "Whäles\n\nThey sing"


@pytest.mark.parametrize("raw", [b"", b"\n\n", b"From: x\n\n", b"Content-Type: multipart/mixed\n\nx"])
def test_mail_without_text(raw):
    assert "a is a mail without subject and text" in failure(read_message, raw, "a", 0)


def test_encodings_that_there_are_not():
    raw = b"Subject: x\nContent-Type: text/plain; charset=klingon\n\ncaf\xe9\n"
    assert read_message(raw, "a", 0)[0] == "x\n\ncaf\xe9"


def test_any_bytes_are_read_or_refused():
    generator = random.Random(0)
    made = message()
    made.add_alternative("<p>They <b>shout</b>.</p>", subtype="html")
    raw = made.as_bytes()
    for _ in range(300):
        broken = bytearray(raw)
        for _ in range(generator.choice([1, 5, 50])):
            broken[generator.randrange(len(raw))] = generator.randrange(256)
        try:
            text, fields = read_message(bytes(broken), "a", 0)
            (text + "".join(fields.values())).encode()
        except ValueError as error:
            assert type(error).__name__ == "CorpusError"


def test_a_mailbox(tmp_path):
    first, second = message().as_bytes(), message(">From here\n", "Two").as_bytes()
    box = b"From ann\n" + first + b"\nFrom ann\n" + second + b"\nFrom bob\n\n"
    reported = []
    options = ReadOptions(on_bad_record="skip", report=reported.append)
    found = list(read_documents(write(tmp_path / "a.mbox", box), options))
    assert [(document.id, document.fields["title"]) for document in found] == [
        ("a.mbox:1", "Whäles"),
        ("a.mbox:2", "Two"),
    ]
    assert found[1].text == "Two\n\nFrom here" and len(reported) == 1
    assert "message 3 is a mail without" in failure(lambda: list(read_documents(str(tmp_path / "a.mbox"))))
    assert "does not begin as a mailbox" in failure(
        lambda: list(read_documents(write(tmp_path / "b.mbox", "text\n")))
    )
    long = ReadOptions(max_document_bytes=50)
    assert "has a message of more than 50 bytes" in failure(
        lambda: list(read_documents(str(tmp_path / "a.mbox"), long))
    )
