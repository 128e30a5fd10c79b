import io
import logging
import random
import shutil
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import pytest

from helpers.corpora import failure, write
from nphash.corpus import ReadOptions, office, read_documents
from nphash.corpus.office import read_docx, read_epub, read_odt, read_pdf

MOST = 10_000
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
CORE = '<cp xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>On whales</dc:title></cp>'
BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><a>&b;</a>'


def packed(**files):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_xml", ".xml"), content)
    return made.getvalue()


def docx(body="<w:p><w:r><w:t>A whale</w:t><w:tab/><w:t>sings</w:t></w:r></w:p><w:p><w:t>twice</w:t></w:p>"):
    document = f"<w:document {W}><w:body>{body}</w:body></w:document>"
    notes = f"<w:footnotes {W}><w:p><w:t>a note</w:t></w:p></w:footnotes>"
    return packed(word__document_xml=document, word__footnotes_xml=notes, docProps__core_xml=CORE)


def odt(extra=""):
    names = 'xmlns:t="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
    content = f"{extra}<o {names}><t:h>Sea</t:h><t:p>a<t:s/>whale<t:line-break/>sings</t:p></o>"
    return packed(content_xml=content, meta_xml=CORE)


def epub():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("META-INF/container.xml", '<c><rootfile full-path="OPS/book.opf"/></c>')
        items = "".join(
            f'<item id="{n}" href="c%20{n}.xhtml" media-type="application/xhtml+xml"/>' for n in "ab"
        )
        package = (
            f"<package>{CORE}<manifest>{items}</manifest><spine><itemref idref='b'/><itemref idref='a'/>"
        )
        archive.writestr("OPS/book.opf", package + "</spine></package>")
        for name, text in (("a", "second"), ("b", "first &eacute;")):
            page = f"<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.1//EN' 'x.dtd'><html><p>{text}</p></html>"
            archive.writestr(f"OPS/c {name}.xhtml", page)
    return made.getvalue()


@pytest.mark.parametrize(
    ("read", "raw", "text"),
    [
        (read_docx, docx(), "On whales\n\nA whale\tsings\ntwice\na note"),
        (read_odt, odt(), "On whales\n\nSea\na whale\nsings"),
        (read_epub, epub(), "On whales\n\nfirst é\n\nsecond"),
    ],
)
def test_text_and_title(read, raw, text):
    assert read(raw, "a", MOST) == (text, {"title": "On whales"})


@pytest.mark.parametrize("name", ["word__document_xml", "docProps__core_xml"])
def test_bombs_of_entities_are_refused(name):
    files = {"word__document_xml": f"<w:document {W}/>", name: BOMB}
    assert "a declares entities" in failure(read_docx, packed(**files), "a", MOST)


def test_no_external_entity_is_followed(tmp_path):
    secret = write(tmp_path / "secret", "hunter2")
    dtd = f'<!DOCTYPE o SYSTEM "file://{secret}">'
    assert "hunter2" not in read_odt(odt(dtd), "a", MOST)[0]
    entity = f'<!DOCTYPE o [<!ENTITY x SYSTEM "file://{secret}">]>'
    assert "a declares entities" in failure(read_odt, odt(entity), "a", MOST)


def test_bombs_of_zip_are_refused():
    raw = docx(f"<w:p><w:t>{'a' * 10_000_000}</w:t></w:p>")
    assert len(raw) < 20_000
    assert "a unpacks to far more than a document" in failure(read_docx, raw, "a", MOST)


@pytest.mark.parametrize(("read", "raw"), [(read_docx, docx()), (read_odt, odt()), (read_epub, epub())])
def test_damaged_documents(read, raw):
    generator = random.Random(0)
    for _ in range(150):
        broken = bytearray(raw)
        for _ in range(generator.choice([1, 3, 30])):
            broken[generator.randrange(len(raw))] = generator.randrange(256)
        cut = bytes(broken)[: generator.choice([len(raw), generator.randrange(len(raw))])]
        try:
            text, _ = read(cut, "a", MOST)
        except ValueError as error:
            assert type(error).__name__ == "CorpusError" and "a" in str(error)
        else:
            assert isinstance(text, str)


def test_other_archives_are_not_what_their_names_say():
    for read in (read_docx, read_odt, read_epub):
        assert "is not what its name says" in failure(read, packed(x="y"), "a", MOST)
        assert "damaged zip archive" in failure(read, b"PK\3\4 cut", "a", MOST)
    assert "its XML is broken" in failure(read_odt, packed(content_xml="<a>"), "a", MOST)


# ---------------------------------------------------------------------- PDF


class PdfError(Exception):
    """An error as of pypdf, which need not be there."""

    __module__ = "pypdf.errors"


def pdf(text="A whale sings", title="On whales"):
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        f"<< /Title ({title}) >>".encode(),
    ]
    made, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, start=1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer << /Size 6 /Root 1 0 R /Info 5 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(made)
    return made + b"xref\n0 6\n0000000000 65535 f \n" + table + end


def test_pdf_by_pypdf():
    pypdf = pytest.importorskip("pypdf", reason="PDF is read by pypdf")
    assert read_pdf(pdf(), "a", MOST) == ("On whales\n\nA whale sings", {"title": "On whales"})
    assert "a has no text" in failure(read_pdf, pdf(" ", ""), "a", MOST)
    assert "a unpacks to far more" in failure(read_pdf, pdf("x" * 500), "a", 100)
    for broken in (b"%PDF-1.4", pdf()[:200], pdf().replace(b"/Kids [3 0 R]", b"/Kids [2 0 R]")):
        assert "a " in failure(read_pdf, broken, "a", MOST)
    locked = io.BytesIO()
    writer = pypdf.PdfWriter(io.BytesIO(pdf()))
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(locked)
    assert "a is encrypted" in failure(read_pdf, locked.getvalue(), "a", MOST)


def test_pypdf_says_nothing_itself(caplog):
    pytest.importorskip("pypdf", reason="PDF is read by pypdf")
    logger = logging.getLogger("pypdf")
    before = logger.level
    message = failure(read_pdf, b"junk", "a", MOST)
    assert "a cannot be read as PDF (" in message and "Error" not in message
    assert caplog.messages == [] and logger.level == before


@pytest.mark.parametrize(
    ("error", "reason"), [(KeyError("/Root"), "it is damaged"), (PdfError("No\n root."), "No root")]
)
def test_reasons_of_pypdf_are_plain_and_all_that_is_said(monkeypatch, caplog, error, reason):
    def reader(_):
        logging.getLogger("pypdf._reader").warning("EOF marker not found")
        raise error

    monkeypatch.setattr(office, "find_spec", lambda name: True)
    monkeypatch.setattr(office, "import_module", lambda name: SimpleNamespace(PdfReader=reader))
    assert f"a cannot be read as PDF ({reason}): " in failure(read_pdf, b"", "a", MOST)
    logging.getLogger("pypdf._reader").warning("as before")
    assert caplog.messages == ["as before"]


def test_pdf_by_pdftotext(tmp_path, monkeypatch):
    """A program of that name on the path is given the file and no shell."""
    if shutil.which("pdftotext") is None:
        script = f"#!{sys.executable}\nimport sys\nraw = open(sys.argv[-2], 'rb').read()\n"
        script += "if b'whale' not in raw: sys.exit('Incorrect password')\nprint('A whale sings')\n"
        program = tmp_path / "pdftotext"
        program.write_text(script, encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(office, "find_spec", lambda name: None)
    assert read_pdf(pdf(), "a", MOST)[0].strip() == "A whale sings"
    assert "a cannot be read as PDF" in failure(read_pdf, b"%PDF-1.4 other", "a", MOST)
    assert "a unpacks to far more" in failure(read_pdf, pdf(), "a", 5)
    monkeypatch.setattr(
        subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(subprocess.TimeoutExpired("x", 1))
    )
    assert "timed out" in failure(read_pdf, pdf(), "a", MOST)


def test_pdf_by_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(office, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    source = write(tmp_path / "a.pdf", pdf())
    assert "pypdf (the extra [pdf]) or pdftotext is needed: install one" in failure(
        lambda: list(read_documents(source))
    )
    write(tmp_path / "b.txt", "whale")
    reported = []
    found = list(read_documents(str(tmp_path), ReadOptions(report=reported.append)))
    assert [document.id for document in found] == ["b.txt"]
    assert len(reported) == 1 and "skipped 1 file that cannot be read" in reported[0]
