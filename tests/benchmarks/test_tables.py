"""Generated parts: code as it stands, public names, commands, the one command that writes them."""

import pytest
from click.testing import CliRunner

from benchmarks import papers, papers_table, rooms, speed_table, tables


def test_code_is_shown_as_it_stands_without_docstrings(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    text = '''class A:
    def loss(self, x):
        """Return the loss.

        Of x.
        """
        y = x**2  # (B,)

        def back(dy):
            """Inner docstrings stay."""
            return 2 * x * dy

        return y, back

    def plain(self):
        return 1


def loss():
    return 2
'''
    (tmp_path / "model.py").write_text(text, encoding="utf-8")
    block = tables.code("model.py", "A.loss", "loss").splitlines()
    assert block == [
        ".. code-block:: python",
        "",
        "   def loss(self, x):",
        "       y = x**2  # (B,)",
        "",
        "       def back(dy):",
        '           """Inner docstrings stay."""',
        "           return 2 * x * dy",
        "",
        "       return y, back",
        "",
        "   def loss():",
        "       return 2",
    ]
    assert tables.code("model.py", "A.plain").endswith("   def plain(self):\n       return 1")


@pytest.mark.parametrize("name", ["B.loss", "A.nothing"])
def test_code_that_is_not_there_is_an_error(tmp_path, monkeypatch, name):
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    (tmp_path / "model.py").write_text("class A:\n    pass\n", encoding="utf-8")
    with pytest.raises(LookupError, match=name):
        tables.code("model.py", name)


def test_a_public_name_stands_under_the_first_module_that_offers_it():
    names = tables.public_names()
    everywhere = [f"{module}.{name}" for module, found in names.items() for name in found]
    assert len(everywhere) == len(set(everywhere)) > 100
    assert "NpHash" in names["nphash"] and "NpHash" not in names["nphash.hashers"]
    assert "codes" not in names["nphash"]  # a package has its own heading
    summary = tables.public_summary()
    assert all(name in summary for name in everywhere)


def test_methods_and_lessons_are_all_in_their_tables():
    from nphash.hashers import METHODS
    from nphash.teaching.lessons import LESSONS

    assert [line.split("``")[1] for line in tables.methods().splitlines() if "``" in line] == list(METHODS)
    assert sum(line[0].isdigit() for line in tables.lessons().splitlines()) == len(LESSONS)


def test_one_table_of_quality_has_a_column_for_each_corpus(monkeypatch):
    def run(system, corpus, precision, bits=32):
        return {"system": system, "corpus": corpus, "bits": bits, "seed": 0, "test": {"precision": precision}}

    runs = [run("itq", "one", 0.5), run("itq", "two", 0.25), run("lsi-cosine", "one", 0.75)]
    runs += [run("ksh", "one", 0.9), run("itq", "one", 0.1, bits=8)]
    monkeypatch.setattr(papers, "results", lambda: runs)
    rows = papers_table.summary(32, ["one", "two"]).splitlines()
    assert rows[1].split() == ["32", "bits", "one", "two"]
    assert [row.split() for row in rows[3:-1]] == [["lsi-cosine", ".750", "\\"], ["itq", ".500", ".250"]]


def test_the_table_of_speed_agrees_with_the_results():
    from benchmarks.records import read
    from benchmarks.search_table import RESULT

    table = speed_table.summary()
    wanted = {"kind": "random", "n": 10**6, "n_bits": 64, "n_queries": 1000, "k": 10, "threads": 2}
    (cell,) = [c for c in read(RESULT)["cells"] if {name: c[name] for name in wanted} == wanted]
    assert f"{cell['times']['nphash']['wall']:.0f} microseconds" in table
    assert "PyTorch" in table and "FAISS" in table and "nphash fit" in table


def test_one_command_writes_pages_and_picture(tmp_path, monkeypatch):
    pytest.importorskip("cogapp")
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "page.rst"
    page.write_text(
        ".. [[[cog\n   import cog\n   cog.outl('now')\n.. ]]]\nthen\n.. [[[end]]]\n", encoding="utf-8"
    )
    (tmp_path / "docs" / "plain.rst").write_text("as it is\n", encoding="utf-8")
    (tmp_path / "README.rst").write_text("as it is\n", encoding="utf-8")
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setattr(rooms.write, "__defaults__", (tmp_path / "rooms.svg",))
    monkeypatch.setattr(rooms.is_current, "__defaults__", (tmp_path / "rooms.svg",))
    assert tables.generated_pages() == [page]
    assert CliRunner().invoke(tables.main, ["--check"]).exit_code == 5
    assert "then" in page.read_text(encoding="utf-8")  # nothing is written
    assert CliRunner().invoke(tables.main, []).exit_code == 0
    assert "now" in page.read_text(encoding="utf-8") and rooms.is_current()
    assert CliRunner().invoke(tables.main, ["--check"]).exit_code == 0
    (tmp_path / "rooms.svg").write_text("<svg/>", encoding="utf-8")
    assert CliRunner().invoke(tables.main, ["--check"]).exit_code == 5
