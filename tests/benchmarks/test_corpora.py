"""The measuring corpora, from made-up files in the layout of each distribution."""

import gzip
import io
import json
import math
import tarfile
import zipfile

import pytest
from click.testing import CliRunner

from benchmarks import corpora
from benchmarks.records import DATA
from nphash.corpus import read_documents


def documents(name, *sources, **options):
    return list(corpora.CORPORA[name].make(list(sources), **options))


def packed(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            content = text.encode("latin-1")
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def story(number, split, topics, body, title="A TITLE", has_topics="YES"):
    listed = "".join(f"<D>{topic}</D>" for topic in topics)
    return (
        f'<REUTERS TOPICS="{has_topics}" LEWISSPLIT="{split}" CGISPLIT="X" OLDID="1" NEWID="{number}">\n'
        "<DATE>26-FEB-1987 15:01:01.79</DATE>\n"
        f"<TOPICS>{listed}</TOPICS>\n<PLACES><D>usa</D></PLACES>\n<ORGS></ORGS>\n"
        f"<TEXT>&#2;\n<TITLE>{title}</TITLE>\n<DATELINE>    NEW YORK, Feb 26 - </DATELINE>"
        f"<BODY>{body}\n&#3;</BODY></TEXT>\n"
        "</REUTERS>\n"
    )


def test_reuters_keeps_the_topics_of_both_parts(tmp_path):
    first = '<!DOCTYPE lewis SYSTEM "lewis.dtd">\n' + (
        story(1, "TRAIN", ["earn", "jobs"], "Shr 34 cts &lt;NOVA>\n    up.\n Reuter")
        + story(2, "TRAIN", ["jobs"], "Jobs.\n REUTER")
        + story(3, "TRAIN", ["earn"], "Nothing.", has_topics="NO")
        + story(4, "NOT-USED", ["earn"], "Nothing.")
    )
    brief = (
        '<REUTERS TOPICS="YES" LEWISSPLIT="TEST" CGISPLIT="X" OLDID="5" NEWID="9">\n'
        '<TOPICS><D>earn</D></TOPICS>\n<TEXT TYPE="BRIEF">&#2;\n'
        "<TITLE>FED SETS REPURCHASES\n</TITLE>&#3;\n</TEXT>\n</REUTERS>\n"
    )
    files = {"reut2-001.sgm": brief, "reut2-000.sgm": first, "README.txt": "no corpus"}
    found = documents("reuters-r90", packed(tmp_path / "reuters21578.tar.gz", files))
    assert found == [
        {"id": "1", "text": "A TITLE\n\nShr 34 cts <NOVA>\n    up.", "labels": ["earn"], "split": "train"},
        {"id": "9", "text": "FED SETS REPURCHASES", "labels": ["earn"], "split": "test"},
    ]


MESSAGE = """From: someone@example.org (Some One)
Subject: Re: Wheels

In article <1@example.org> another@example.org writes:
> What about wheels?

Wheels turn, wheels roll.

--
Some One
"""


def newsgroups_files(n=3):
    names = [f"20news-bydate-{part}/rec.autos/{i}" for part in ("train", "test") for i in range(100, 100 + n)]
    return dict.fromkeys(names, MESSAGE)


def test_newsgroups_by_date_are_whole_messages(tmp_path):
    files = {**newsgroups_files(1), "20news-bydate-test/alt.atheism/7": "From: \xe9\n\nText."}
    found = documents("20ng-bydate", packed(tmp_path / "20news-bydate.tar.gz", files))
    assert [document["id"] for document in found] == [
        "test/alt.atheism/7",
        "test/rec.autos/100",
        "train/rec.autos/100",
    ]
    assert found[0] == {
        "id": "test/alt.atheism/7",
        "text": "From: \xe9\n\nText.",
        "labels": ["alt.atheism"],
        "split": "test",
    }
    assert found[1]["text"] == MESSAGE


@pytest.mark.parametrize(
    "message",
    [MESSAGE, "no header", "A: b\n\nline\n\n\n", "A: b\n\n--\nname", "A: b\n\nbody\n ---- \n> said\nend"],
)
def test_messages_are_stripped_as_scikit_learn_does(message):
    sklearn = pytest.importorskip("sklearn.datasets._twenty_newsgroups")
    expected = sklearn.strip_newsgroup_header(message)
    expected = sklearn.strip_newsgroup_quoting(sklearn.strip_newsgroup_footer(expected))
    assert corpora.stripped(message) == expected


def test_published_newsgroups_are_bags_of_frequent_words(tmp_path):
    pytest.importorskip("sklearn")
    words = "Engine brake wheels wheels roll turn brake. The rare{}\n"
    files = {
        name: "A: b\n\n" + words.format(i) + ("filler\n" if i else "") * 600 * (i == 1)
        for i, name in enumerate(newsgroups_files(4))
    }
    # One message says "filler" 600 times; a word of one message alone does not count, so it is not too long.
    common = {f"20news-bydate-train/sci.med/{i}": f"A: b\n\nother text {i}" for i in range(3)}
    found = documents("20ng-published", packed(tmp_path / "20news-bydate.tar.gz", {**files, **common}))
    assert len(found) == 8
    assert {document["text"] for document in found} == {"brake brake engine roll turn wheels wheels"}
    assert {document["split"] for document in found} == {"train", "test"}


def test_published_newsgroups_of_equal_frequency_are_those_first_in_the_alphabet(tmp_path):
    pytest.importorskip("sklearn")
    text = "A: b\n\n" + " ".join(f"word{c}" for c in "abcdefgh")
    files = {f"20news-bydate-train/g/{i}": text for i in range(4)}
    files |= {f"20news-bydate-train/g/{i}": "A: b\n\nnothing" for i in range(4, 6)}
    found = documents("20ng-published", packed(tmp_path / "20news-bydate.tar.gz", files), words=6)
    assert [document["text"] for document in found] == ["worda wordb wordc wordd worde wordf"] * 4


ARFF = """@relation tmc2007-500

@attribute runway {0,1}
@attribute abort {0,1}
@attribute 'air craft' {0,1}
@attribute Class01 {0,1}
@attribute Class02 {0,1}

@data
"""


def test_tmc_is_sets_of_words_from_sparse_and_dense_rows(tmp_path):
    with zipfile.ZipFile(tmp_path / "tmc.zip", "w") as archive:
        archive.writestr("tmc2007-500/tmc2007-500-train.arff", ARFF + "{0 1,1 1,4 1}\n{3 1}\n")
        archive.writestr("tmc2007-500/tmc2007-500-test.arff", ARFF + "% a comment\n0,0,1,1,1\n")
    assert documents("tmc-500words", tmp_path / "tmc.zip") == [
        {"id": "train-1", "text": "abort runway", "labels": ["class02"], "split": "train"},
        {"id": "train-2", "text": "", "labels": ["class01"], "split": "train"},
        {"id": "test-1", "text": "air craft", "labels": ["class01", "class02"], "split": "test"},
    ]


def weights(frequencies, idf):
    raw = {term: (1 + math.log(tf)) * idf[term] for term, tf in frequencies.items()}
    norm = math.sqrt(sum(weight**2 for weight in raw.values()))
    return {term: round(weight / norm, 6) for term, weight in raw.items()}


def test_rcv1_recovers_how_often_terms_occur(tmp_path):
    idf = {1: 3.5, 2: 1.25, 3: 7.0, 4: 2.0}
    (tmp_path / "stem.termid.idf.map.txt").write_text("".join(f"w{t} {t} {v}\n" for t, v in idf.items()))
    head = "@relation rcv1\n" + "".join(f"@attribute att{t} numeric\n" for t in idf)
    head += "@attribute C11 {0,1}\n@attribute CCAT {0,1}\n\n@data\n"

    def row(frequencies, *labels):
        cells = {term - 1: weight for term, weight in weights(frequencies, idf).items()}
        cells |= dict.fromkeys(labels, 1)
        return "{" + ",".join(f"{column} {value}" for column, value in sorted(cells.items())) + "}\n"

    first, second = {1: 2, 2: 17, 4: 1}, {3: 1}
    for name, rows in {
        "rcv1subset1-train": [row(first, 4, 5), row(second, 5)],
        "rcv1subset1-test": [row(second)],
        "rcv1subset2-train": [row(second, 5), row({1: 5, 4: 1}, 4)],
        "rcv1subset2-test": [],
    }.items():
        (tmp_path / f"{name}.arff").write_text(head + "".join(rows))
    assert documents("rcv1", tmp_path) == [
        {
            "id": "rcv1subset1-test-1",
            "text": "t3",
            "labels": [],
            "split": "test",
        },
        {
            "id": "rcv1subset1-train-1",
            "text": " ".join(["t1"] * 2 + ["t2"] * 17 + ["t4"]),
            "labels": ["C11", "CCAT"],
            "split": "train",
        },
        {"id": "rcv1subset1-train-2", "text": "t3", "labels": ["CCAT"], "split": "train"},
        {"id": "rcv1subset2-train-2", "text": "t1 t1 t1 t1 t1 t4", "labels": ["C11"], "split": "train"},
    ]


def test_snippets_end_with_their_class(tmp_path):
    files = {
        "data-web-snippets/train.txt": "china product business\nguitar chords culture-arts-entertainment\n",
        "data-web-snippets/test.txt": "vaccine trial health\n",
        "data-web-snippets/readme.txt": "no corpus",
    }
    assert documents("snippets", packed(tmp_path / "data-web-snippets.tar.gz", files)) == [
        {"id": "train-1", "text": "china product", "labels": ["business"], "split": "train"},
        {
            "id": "train-2",
            "text": "guitar chords",
            "labels": ["culture-arts-entertainment"],
            "split": "train",
        },
        {"id": "test-1", "text": "vaccine trial", "labels": ["health"], "split": "test"},
    ]


def paper(number, year):
    created = f"Mon, 2 Apr {year} 19:18:42 GMT"
    return json.dumps(
        {
            "id": number,
            "title": "Sleep of\n  whales",
            "abstract": "  They sleep\nin the sea.\n",
            "categories": "math.FA q-bio",
            "versions": [{"version": "v1", "created": created}, {"version": "v2", "created": created}],
            "update_date": "2024-01-01",
        }
    )


def test_arxiv_is_a_sample_that_depends_on_ids_alone(tmp_path):
    lines = [paper(f"0704.{i:04}", 2007) for i in range(40)] + [paper("2001.0001", 2020)]
    (tmp_path / "one.json").write_text("\n".join(lines) + "\n")
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("arxiv-metadata-oai-snapshot.json", "\n".join(reversed(lines)))
    found = documents("arxiv-0", tmp_path / "one.json", n=7)
    assert found == documents("arxiv-0", tmp_path / "archive.zip", n=7)
    assert len({document["id"] for document in found}) == 7
    assert len(documents("arxiv-0", tmp_path / "one.json")) == 40
    assert found[0] | {"id": ""} == {
        "id": "",
        "text": "Sleep of whales\n\nThey sleep in the sea.",
        "labels": ["math.FA", "q-bio"],
        "date": "2007-04-02",
    }


def test_the_command_writes_what_the_reader_reads_and_the_same_bytes_again(tmp_path):
    source = packed(tmp_path / "20news-bydate.tar.gz", newsgroups_files(2))
    for folder in ("one", "two"):
        command = ["20ng-bydate", str(source), "-o", str(tmp_path / folder)]
        done = CliRunner().invoke(corpora.main, command, catch_exceptions=False)
        assert "2 test, 2 train" in done.output
    path = tmp_path / "one" / "20ng-bydate.jsonl.gz"
    assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    read = list(read_documents(str(path)))
    assert [(d.id, d.labels, d.split) for d in read][:1] == [("test/rec.autos/100", ("rec.autos",), "test")]
    with gzip.open(path, "rt", encoding="utf-8") as file:
        assert json.loads(file.readline()).keys() == {"id", "text", "labels", "split"}


def test_a_source_without_the_files_is_refused(tmp_path):
    source = packed(tmp_path / "other.tar.gz", {"other.txt": "nothing"})
    done = CliRunner().invoke(corpora.main, ["snippets", str(source), "-o", str(tmp_path)])
    assert done.exit_code == 1 and "no file matches" in done.output
    assert not (tmp_path / "snippets.jsonl.gz").exists()


def test_help_and_table_say_where_each_is_published():
    shown = CliRunner().invoke(corpora.main, ["--help"]).output
    for name, corpus in corpora.CORPORA.items():
        assert name in shown and f"``{name}``" in corpora.table()
        assert corpus.published in corpora.table()


@pytest.mark.slow
def test_the_published_newsgroups_are_those_of_the_field(tmp_path):
    """From the same messages nearly the same bags; of equally frequent words others are kept."""
    pytest.importorskip("sklearn")
    whole, published = DATA / "20ng-bydate.jsonl.gz", DATA / "20ng-published.jsonl.gz"
    if not (whole.exists() and published.exists()):
        pytest.skip("the corpora are not at hand")
    for document in read_documents(str(whole)):
        part, group, number = document.id.split("/")
        path = tmp_path / f"20news-bydate-{part}" / group / number
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(document.text.encode("latin-1", "replace"))
    made = {document["id"]: document["text"] for document in documents("20ng-published", tmp_path)}
    theirs = {document.id: document.text for document in read_documents(str(published))}
    assert len(made.keys() ^ theirs.keys()) <= 5
    assert sum(made.get(name) == text for name, text in theirs.items()) > 0.85 * len(theirs)
