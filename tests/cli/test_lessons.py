from helpers.collecting import jsonl, run
from nphash.teaching.lessons import LESSONS


def test_all_lessons_are_listed():
    records = jsonl(run("lessons").out)
    assert [record["lesson"] for record in records] == list(range(1, 10))
    assert set(records[0]) == {"lesson", "title", "minutes", "file", "exercise"}
    result = run("lessons", "--format", "table")
    assert result.code == 0
    assert "lesson  title" in result.out and LESSONS[6].file in result.out
    assert len(result.out.splitlines()) == 10
    assert "nphash lesson 1" in result.err
    assert run("lessons", "--format", "csv").out.startswith("lesson,title,minutes,file,exercise\n")
