"""Mail: one message a file (.eml), or many in one (.mbox)."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from typing import cast

from nphash.corpus.files import open_bytes
from nphash.corpus.markup import Content, read_html
from nphash.corpus.records import Document, ReadOptions, Skipped, show, stem, storable
from nphash.errors import CorpusError

_FIELDS = {"subject": "title", "from": "from", "to": "to"}


def read_message(raw: bytes, where: str, most: int) -> Content:
    """Return subject and text of a message, without what is attached, and the fields of its head."""
    try:
        message = email.message_from_bytes(raw, policy=email.policy.default)
        fields = {ours: _header(message, theirs) for theirs, ours in _FIELDS.items()}
        fields["date"] = _date(_header(message, "date"))
        body = message.get_body(("plain", "html"))
        text = "" if body is None else _text(cast(EmailMessage, body))
    except (ValueError, LookupError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise CorpusError(f"{where} cannot be read as mail ({error!r:.100})", "leave it out") from error
    fields = {name: value for name, value in fields.items() if value}
    if not text.strip() and "title" not in fields:
        raise CorpusError(f"{where} is a mail without subject and text", "leave it out")
    return storable("\n\n".join(filter(None, (fields.get("title", ""), text.strip())))), fields


def _header(message: EmailMessage, name: str) -> str:
    value = " ".join(str(message.get(name, "")).split())
    return storable(value)


def _date(value: str) -> str:
    """Return a date as ISO 8601 writes it, so that letters compare rightly; empty for what is none."""
    try:
        return parsedate_to_datetime(value).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""


def _text(body: EmailMessage) -> str:
    payload = body.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    try:
        text = raw.decode(body.get_content_charset("utf-8"), "replace")
    except LookupError:  # an encoding that there is not
        text = raw.decode("latin-1")
    return read_html(text)[0] if body.get_content_subtype() == "html" else text.replace("\r\n", "\n")


def read_mbox(source: str, options: ReadOptions) -> Iterator[Document]:
    """Yield one document a message."""
    skipped, name = Skipped(options), stem(source)
    with open_bytes(source) as stream:
        lines = iter(lambda: stream.readline(options.max_document_bytes + 1), b"")
        for number, raw in enumerate(split_mbox(lines, source, options.max_document_bytes), start=1):
            with skipped.unusable():
                text, fields = read_message(raw, f"{show(source)}, message {number}", len(raw))
                yield Document(f"{name}:{number}", text, generated_id=True, fields=fields)
    skipped.report()


def split_mbox(lines: Iterator[bytes], source: str, most: int) -> Iterator[bytes]:
    """Yield the messages of a mailbox, each of which begins with a line of ``From`` after a blank one."""
    message: list[bytes] = []
    length, after_blank, begun = 0, True, False
    for line in lines:
        if after_blank and line.startswith(b"From "):
            if begun:
                yield b"".join(message)
            message, length, begun = [], 0, True
        elif begun:
            message.append(line.removeprefix(b">") if line.startswith((b">From ", b">>From ")) else line)
            length += len(line)
        elif line.strip():
            raise CorpusError(f"{show(source)} does not begin as a mailbox: with a line of From", "check it")
        if length > most:
            raise CorpusError(f"{show(source)} has a message of more than {most} bytes", "split it")
        after_blank = not line.strip()
    if begun:
        yield b"".join(message)
