"""What benchmarks invent is news that the shipped project takes; what they measure is theirs to run."""

from __future__ import annotations

from benchmarks.processes import Latest, Project, latest, news, ten_rows


def test_invented_news_is_accepted_by_the_shipped_deal(project, command, monkeypatch):
    last = latest(Project(project, project / ".cache"))
    assert isinstance(last, Latest)
    monkeypatch.setenv("VALUATION_HOME", str(project))
    before = (project / "seeds" / "evidence.csv").read_bytes()
    for words in [news(last, 1), *ten_rows(last)]:
        code, _, err = command(*words, "--dry-run")
        assert (code, err) == (0, "")
    assert (project / "seeds" / "evidence.csv").read_bytes() == before
