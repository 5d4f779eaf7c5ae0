"""A run is kept whole with what it was made from, and is never taken for another."""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from example_results import example_results

from valuation import archive, cli, clock, publish
from valuation.archive import (
    Run,
    changed_inputs,
    examined,
    find_run,
    keep_inputs,
    keep_run,
    latest_run,
    list_runs,
    run_before,
    runs_base,
)
from valuation.cli.runs import table
from valuation.errors import ArtifactError, ParameterError
from valuation.report import checks, run_folder
from valuation.report.checks import Result

Keep = Callable[..., Run]


@pytest.fixture
def keep(project: Path) -> Keep:
    """Keep an invented run; keywords say what differs."""

    def keep(
        chance: float = 0.16, scenario: str = "base", kind: str = "report", **options: Any
    ) -> Run:
        return keep_run(
            project,
            deal=options.pop("deal", archive.DEFAULT_DEAL),
            scenario=scenario,
            kind=kind,
            files={"index.html": b"<p>page</p>", "notebook.ipynb": b"{}"},
            results=results_with(chance, as_of=options.pop("as_of", "2026-02-20")),
            inputs=options.pop("inputs", None) or keep_inputs(project, "meta_scale", scenario),
            **options,
        )

    return keep


def results_with(chance: float, as_of: str = "2026-02-20") -> dict[str, Any]:
    results = example_results()
    results["headline"] = {**results["headline"], "probability": chance}
    return results | {"as_of": as_of}


def at(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Runs are kept at this moment."""
    moment = dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
    monkeypatch.setattr(clock, "now", lambda: moment)


# What is kept.


def test_a_run_is_a_folder_of_results_page_notebook_and_manifest(project: Path, keep: Keep) -> None:
    run = keep()
    assert run.folder == project / "reports" / "runs" / run.id
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "index.html", "manifest.json", "notebook.ipynb", "results.json",
    ]  # fmt: skip
    assert (run.results, run.problem) == (json.loads(json.dumps(results_with(0.16))), "")
    assert run_folder(run.folder.parent, run.id) == run.folder
    assert list_runs(project) == [run]


def test_the_manifest_says_what_the_run_was_made_from(keep: Keep) -> None:
    run = keep(parent="20260101t000000z-base-00000000", kind="update")
    told = example_results()["run"]
    manifest = json.loads((run.folder / "manifest.json").read_text(encoding="utf-8"))
    assert set(manifest) == {
        "as_of", "as_of_given", "created", "deal", "digests", "files", "headline", "id", "inputs",
        "kind", "parent", "posterior", "results_digest", "scenario", "schema", "seed", "sequence",
        "versions",
    }  # fmt: skip
    assert manifest["digests"] == {k: told["digests"][k] for k in manifest["digests"]}
    assert (run.seed, dict(run.versions)) == (told["seed"], told["versions"])
    assert (run.kind, run.as_of, run.as_of_given) == ("update", "2026-02-20", False)
    assert run.parent == "20260101t000000z-base-00000000"
    assert run.headline["probability"] == 0.16
    assert json.loads(json.dumps(run.as_dict()))["inputs_digest"] == manifest["inputs"]


def test_the_headline_of_an_update_is_that_of_its_quantity() -> None:
    quantities = [
        {"name": "npv", "is": -3.0, "mcse_is": 0.1},
        {"name": "moic", "is": 0.2, "mcse_is": 0.01},
    ]
    told = archive.headline_of({"headline": "moic", "quantities": quantities})
    assert told == {"definition": "moic", "probability": 0.2, "mcse": 0.01}
    assert archive.headline_of({"headline": "irr", "quantities": quantities}) == {}


def test_ids_sort_by_time_and_lists_are_oldest_first(
    monkeypatch: pytest.MonkeyPatch, project: Path, keep: Keep
) -> None:
    made = []
    for n, moment in enumerate(
        ["2026-11-21T19:02:33", "2026-11-21T19:02:34", "2026-11-22T00:00:00", "2027-01-01T00:00:00"]
    ):
        at(monkeypatch, moment)
        made.append(keep(0.1 + n / 100, scenario=("base", "acqui_kill")[n % 2]).id)
    assert made[0].startswith("20261121t190233z-base-")
    assert sorted(made) == made == [run.id for run in list_runs(project)]
    assert [run.id for run in list_runs(project, scenario="acqui_kill")] == made[1::2]


def test_a_clock_set_back_does_not_make_an_older_run_the_newest(
    monkeypatch: pytest.MonkeyPatch, project: Path, keep: Keep
) -> None:
    made = []
    for n, moment in enumerate(
        ["2026-11-21T12:00:00", "2031-01-01T00:00:00", "2026-11-21T13:00:00", "2026-11-20T00:00:00"]
    ):
        at(monkeypatch, moment)
        made.append(keep(0.1 + n / 100))
    assert [run.sequence for run in made] == [1, 2, 3, 4]
    assert [run.id for run in list_runs(project)] == [run.id for run in made]
    assert latest_run(project) == made[-1]
    assert find_run(project, "latest") == made[-1]
    assert keep(0.13).id == made[-1].id, "the newest says the same: no other run"


def test_runs_kept_before_there_were_sequences_come_first_and_a_damaged_one_keeps_its_place(
    monkeypatch: pytest.MonkeyPatch, project: Path, keep: Keep
) -> None:
    made = []
    for n in range(4):
        at(monkeypatch, f"2026-11-2{n}T12:00:00")
        made.append(keep(0.1 + n / 100))
    old = made[0]
    manifest = json.loads((old.folder / "manifest.json").read_text(encoding="utf-8"))
    del manifest["sequence"]
    manifest["id"] = archive._id_of(manifest)
    (old.folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    old.folder.rename(old.folder.parent / manifest["id"])
    (made[2].folder / "manifest.json").write_bytes(b"{")
    names = [run.id for run in list_runs(project)]
    assert names == [manifest["id"], *(run.id for run in made[1:])]
    (made[3].folder / "manifest.json").write_bytes(b"{")
    with pytest.raises(ArtifactError, match="its manifest cannot be read"):
        latest_run(project)


def test_a_long_scenario_name_still_gives_a_folder_that_can_be_named(
    project: Path, keep: Keep
) -> None:
    folder = project / "params" / "scenarios"
    for name in ("a" * 63 + "b", "a" * 63 + "c"):
        shutil.copy(folder / "base.yaml", folder / f"{name}.yaml")
        run = keep(scenario=name)
        assert len(run.id) <= 64
        assert list_runs(project, scenario=name) == [run]


def test_a_run_made_again_with_the_same_inputs_and_results_is_not_another_one(
    monkeypatch: pytest.MonkeyPatch, project: Path, keep: Keep
) -> None:
    first = keep()
    later = example_results()
    later["run"] = {**later["run"], "created": "2030-01-01T00:00:00+00:00"}
    later["freshness"] = {**later["freshness"], "day": "2030-01-01", "days": 1403}
    monkeypatch.setitem(globals(), "example_results", lambda: later)
    assert keep().id == first.id
    assert keep(0.17).id != first.id
    assert len(list_runs(project)) == 2
    assert len({keep().id, first.id}) == 2  # it is the newest that counts: this is a way back


def test_a_report_an_update_and_a_replay_of_the_same_inputs_are_kept_apart(
    project: Path, keep: Keep
) -> None:
    keep()
    keep(kind="update", parent="x")
    keep(kind="update", parent="y")
    keep(as_of_given=True, as_of="2025-09-01")
    keep(as_of_given=True, as_of="2025-10-01")
    assert len(list_runs(project)) == 5
    assert keep(as_of_given=True, as_of="2025-09-01").as_of == "2025-09-01"
    assert len(list_runs(project)) == 5


def test_a_damaged_newest_run_is_not_taken_for_the_same(project: Path, keep: Keep) -> None:
    first = keep()
    (first.folder / "index.html").write_bytes(b"<p>pagE</p>")
    assert keep().id != first.id
    assert len(list_runs(project)) == 2


@pytest.mark.parametrize("name", ["../x", "a/b", "manifest.json", "", ".hidden"])
def test_a_file_that_could_lead_elsewhere_is_no_file_of_a_run(project: Path, name: str) -> None:
    inputs = keep_inputs(project, "meta_scale", "base")
    with pytest.raises(ParameterError, match="cannot be a file of a run"):
        keep_run(
            project, deal="meta_scale", scenario="base", kind="report", files={name: b""},
            results={}, inputs=inputs,
        )  # fmt: skip


def test_runs_of_another_deal_are_in_its_own_folder(project: Path) -> None:
    assert runs_base(project) == project / "reports" / "runs"
    assert runs_base(project, "other") == project / "reports" / "deals" / "other" / "runs"
    with pytest.raises(ParameterError, match="cannot name a run"):
        runs_base(project, "../../x")


def test_runs_are_not_committed(root: Path) -> None:
    lines = (root / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "/reports/*" in lines
    kept = {line for line in lines if line.startswith("!/reports/")}
    assert kept == {"!/reports/example/", "!/reports/.gitkeep"}


# What a run was made from.


def test_kept_inputs_open_as_the_project_they_were(project: Path, keep: Keep) -> None:
    from valuation.study import open_study

    before = open_study(root=project)
    run = keep()
    evidence = project / "seeds" / "evidence.csv"
    evidence.write_text(
        "".join(evidence.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]),
        encoding="utf-8",
    )
    gate = project / "params" / "gate.yaml"
    gate.write_text(gate.read_text(encoding="utf-8").replace("1.01", "1.02"), encoding="utf-8")
    assert open_study(root=project).digests != before.digests
    again = open_study(root=run.inputs)
    assert again.digests == before.digests
    assert again.posterior_key() == before.posterior_key()
    assert again.limits == before.limits


def test_inputs_hold_this_deal_and_this_scenario_only(project: Path) -> None:
    (project / "seeds" / ".evidence.csv.swp").write_text("an editor's")
    folder = runs_base(project) / "inputs" / keep_inputs(project, "meta_scale", "acqui_kill")
    found = {path.relative_to(folder).as_posix() for path in publish.files_below(folder)}
    read = [p.name for p in (project / "seeds").glob("*.csv") if p.name != publish.RECORD]
    seeds = {f"seeds/{name}" for name in read}
    assert found == seeds | {
        "manifest.json", "params/credibility.yaml", "params/deals/meta_scale.yaml",
        "params/gate.yaml", "params/priors.yaml", "params/scenarios/acqui_kill.yaml",
    }  # fmt: skip


def test_a_scenario_file_from_elsewhere_is_kept_under_its_name(
    project: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "mine.yaml"
    shutil.copy(project / "params" / "scenarios" / "base.yaml", elsewhere)
    kept = keep_inputs(project, "meta_scale", elsewhere)
    assert (runs_base(project) / "inputs" / kept / "params" / "scenarios" / "mine.yaml").is_file()


def test_equal_inputs_are_stored_once_and_other_inputs_apart(project: Path, keep: Keep) -> None:
    first, second = keep(0.1), keep(0.2)
    assert first.inputs == second.inputs
    assert keep_inputs(project, "meta_scale", "base") == first.inputs_digest
    assert keep_inputs(project, "meta_scale", "acqui_kill") != first.inputs_digest
    (project / "seeds" / "extra.csv").write_text("id\n")
    assert keep_inputs(project, "meta_scale", "base") != first.inputs_digest
    assert len([p for p in first.inputs.parent.iterdir() if p.is_dir()]) == 3


@pytest.mark.parametrize("name", ["seeds/evidence.csv", "params/priors.yaml", "manifest.json"])
def test_damaged_inputs_are_found_before_they_are_used_and_put_right_when_kept_again(
    project: Path, keep: Keep, name: str
) -> None:
    run = keep()
    path = runs_base(project) / "inputs" / run.inputs_digest / name
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"2", b"3", 1))
    with pytest.raises(ArtifactError, match="damaged"):
        list_runs(project)[0].inputs
    assert "damaged" in examined(list_runs(project)[0]).problem
    assert keep_inputs(project, "meta_scale", "base") == run.inputs_digest
    assert path.read_bytes() == whole
    assert examined(list_runs(project)[0]).problem == ""


def test_inputs_that_change_during_a_run_are_told_by_name(project: Path) -> None:
    kept = keep_inputs(project, "meta_scale", "base")
    assert changed_inputs(project, "meta_scale", "base", kept) == []
    (project / "seeds" / "extra.csv").write_text("id\n")
    (project / "params" / "priors.yaml").write_text("# other\n", encoding="utf-8")
    changed = changed_inputs(project, "meta_scale", "base", kept)
    assert changed == ["params/priors.yaml", "seeds/extra.csv"]


def test_a_run_needs_the_inputs_of_its_own_scenario(project: Path, keep: Keep) -> None:
    with pytest.raises(ParameterError, match=r"hold no params/scenarios/base\.yaml"):
        keep(inputs=keep_inputs(project, "meta_scale", "acqui_kill"))
    with pytest.raises(ArtifactError, match=r"inputs/0123456789abcdef: damaged"):
        keep(inputs="0123456789abcdef")
    assert list_runs(project) == []


def test_inputs_that_cannot_be_read_are_named(project: Path) -> None:
    (project / "params" / "gate.yaml").unlink()
    with pytest.raises(ParameterError, match=r"gate\.yaml: cannot be read"):
        keep_inputs(project, "meta_scale", "base")
    with pytest.raises(ParameterError, match="unknown scenario 'nope'"):
        keep_inputs(project, "meta_scale", "nope")


# Crashes and company.

CRASHING = """
import os, sys
from pathlib import Path
from valuation import archive, cli, publish

root, last = Path(sys.argv[1]), int(sys.argv[2])
inputs = archive.keep_inputs(root, "meta_scale", "base") if sys.argv[3] == "run" else ""
done, write = 0, publish._write_synced

def stop(path, content):
    global done
    if done == last:
        os._exit(9)
    done += 1
    write(path, content)

publish._write_synced = stop
if last < 0:
    Path.rename = lambda *paths: os._exit(9)
if not inputs:
    archive.keep_inputs(root, "meta_scale", "base")
else:
    archive.keep_run(
        root, deal="meta_scale", scenario="base", kind="report",
        files={"index.html": b"<p></p>", "notebook.ipynb": b"{}"},
        results={"as_of": "2026-02-20"}, inputs=inputs,
    )
"""


@pytest.mark.parametrize("what", ["run", "inputs"])
@pytest.mark.parametrize("last", [0, 1, 2, 3, -1])
def test_a_hard_crash_between_files_leaves_no_half_run(
    project: Path, keep: Keep, root: Path, last: int, what: str
) -> None:
    done = subprocess.run([sys.executable, "-c", CRASHING, project, str(last), what], cwd=root)
    assert done.returncode == 9
    assert list_runs(project) == []
    run = keep()
    assert [examined(each) for each in list_runs(project)] == [run]
    assert not list(runs_base(project).rglob(".tmp-*"))


KEEPING = """
import sys
from pathlib import Path
from valuation import archive

root, who = Path(sys.argv[1]), sys.argv[2]
for n in range(8):
    archive.keep_run(
        root, deal="meta_scale", scenario="base", kind="report", files={"index.html": b"<p></p>"},
        results={"as_of": "2026-02-20", "note": f"{who} {n}"},
        inputs=archive.keep_inputs(root, "meta_scale", "base"),
    )
"""


def test_two_processes_that_keep_runs_at_once_lose_none(project: Path, root: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", KEEPING, project, who], cwd=root) for who in "ab"
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    found = [examined(run) for run in list_runs(project)]
    assert [run.problem for run in found] == [""] * 16
    assert {run.results["note"] for run in found} == {f"{w} {n}" for w in "ab" for n in range(8)}
    assert len({run.inputs for run in found}) == 1


def test_a_reader_never_sees_a_run_that_is_being_written(
    monkeypatch: pytest.MonkeyPatch, project: Path, keep: Keep
) -> None:
    seen = []
    write = publish._write_synced

    def watch(path: Path, content: bytes) -> None:
        seen.append(len(list_runs(project)))
        write(path, content)

    monkeypatch.setattr(publish, "_write_synced", watch)
    keep()
    assert seen
    assert set(seen) == {0}
    assert len(list_runs(project)) == 1


def test_files_that_a_report_and_its_run_share_are_stored_once(project: Path, keep: Keep) -> None:
    run = keep()
    files = {name: run.read(name) for name in ("index.html", "notebook.ipynb")}
    folder = project / "reports" / "scenarios" / "base"
    publish.publish(folder, files, inputs="x", about={}, twins=run.folder)
    assert os.path.samefile(folder / "index.html", run.page)
    publish.publish(
        folder, files | {"index.html": b"other"}, inputs="x", about={}, twins=run.folder
    )
    assert run.read("index.html") == b"<p>page</p>"
    assert (folder / "index.html").read_bytes() == b"other"
    publish.publish(folder, files, inputs="x", about={}, twins=project / "nowhere")
    assert publish.read_manifest(folder) is not None


# Damage.


def spoil(run: Run, how: str) -> None:
    manifest = run.folder / "manifest.json"
    told = json.loads(manifest.read_text(encoding="utf-8"))
    if how == "a file is gone":
        (run.folder / "index.html").unlink()
    elif how == "a file is cut":
        path = run.folder / "results.json"
        path.write_bytes(path.read_bytes()[:-1])
    elif how == "the manifest is gone":
        manifest.unlink()
    elif how == "the manifest is cut":
        manifest.write_bytes(manifest.read_bytes()[:-9])
    elif how == "the manifest is another thing":
        manifest.write_text("[]")
    elif how == "a number is touched up":
        manifest.write_text(json.dumps(told | {"headline": {"probability": 0.99}}))
    elif how == "another schema":
        manifest.write_text(json.dumps(told | {"schema": 99}))
    elif how == "another name":
        run.folder.rename(run.folder.with_name(run.id[:-1] + "x"))
    elif how == "the inputs are gone":
        shutil.rmtree(run.folder.parent / "inputs")


@pytest.mark.parametrize(
    "how",
    [
        "a file is gone", "a file is cut", "the manifest is gone", "the manifest is cut",
        "the manifest is another thing", "a number is touched up", "another schema", "another name",
        "the inputs are gone",
    ],
)  # fmt: skip
def test_a_damaged_run_is_listed_with_its_problem_and_not_used(
    project: Path, keep: Keep, how: str
) -> None:
    run = keep()
    spoil(run, how)
    (found,) = list_runs(project, scenario="base")
    assert f"reports/runs/{found.id}: damaged: " in found.problem
    assert "restore it from a copy or move it away" in found.problem
    with pytest.raises(ArtifactError, match="damaged"):
        latest_run(project)
    with pytest.raises(ArtifactError, match="damaged"):
        find_run(project, found.id)
    lines = table([found])
    assert "damaged" in " ".join(lines)
    assert max(map(len, lines)) <= 80


def test_a_file_changed_without_a_change_of_length_is_found_when_it_is_read(
    project: Path, keep: Keep
) -> None:
    run = keep()
    path = run.folder / "results.json"
    path.write_bytes(path.read_bytes().replace(b"0.16", b"0.61"))
    (found,) = list_runs(project)
    assert found.problem == ""
    with pytest.raises(ArtifactError, match=r"results\.json is not what was kept"):
        found.results
    assert "results.json is not what was kept" in examined(found).problem


def test_a_folder_that_is_no_run_is_named_and_hurts_nobody(project: Path, keep: Keep) -> None:
    run = keep()
    (runs_base(project) / "my-copy").mkdir()
    (runs_base(project) / "note.txt").write_text("mine")
    stray, found = list_runs(project)
    assert stray.problem
    assert (stray.id, found) == ("my-copy", run)
    assert latest_run(project) == run


# Finding.


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch, keep: Keep) -> dict[str, Run]:
    """A few runs at known times."""
    made = {}
    for name, moment, options in (
        ("old", "2026-11-20T08:00:00", {"chance": 0.10}),
        ("mid", "2026-11-21T19:02:33", {"chance": 0.12}),
        ("other", "2026-11-21T19:02:35", {"chance": 0.13, "scenario": "acqui_kill"}),
        ("new", "2026-11-22T09:00:00", {"chance": 0.14, "kind": "update"}),
        ("replay", "2026-11-23T09:00:00", {"chance": 0.15, "as_of_given": True}),
    ):
        at(monkeypatch, moment)
        made[name] = keep(**options)  # type: ignore[arg-type]
    return made


def test_a_run_is_found_by_id_beginning_digits_folder_or_latest(
    project: Path, history: dict[str, Run]
) -> None:
    mid = history["mid"]
    for word in (mid.id, mid.id[:19], "20261121t190233", mid.short, f"reports/runs/{mid.id}/"):
        assert find_run(project, word) == mid
    assert find_run(project, "latest") == history["new"]
    assert find_run(project, "latest", scenario="acqui_kill") == history["other"]


def test_a_word_that_fits_no_run_or_several_is_refused_with_the_close_ones(
    project: Path, history: dict[str, Run]
) -> None:
    with pytest.raises(ParameterError, match=r"'20261121' fits 2 runs: .*-base-.*; give more of"):
        find_run(project, "20261121")
    wrong = history["mid"].id[:-2] + "zz"
    with pytest.raises(ParameterError, match=f"close: .*{history['mid'].id}"):
        find_run(project, wrong)
    with pytest.raises(ParameterError, match=f"no run '!'; close: {history['replay'].id}"):
        find_run(project, "!")
    with pytest.raises(ParameterError, match="no run ''"):
        find_run(project, "")


def test_without_runs_the_error_says_what_makes_them(project: Path) -> None:
    assert latest_run(project) is None
    for word in ("latest", "20261121"):
        with pytest.raises(ParameterError, match="`valuation report` makes them"):
            find_run(project, word)


def test_the_latest_is_of_the_scenario_and_kind_and_never_a_replay_unless_asked(
    project: Path, history: dict[str, Run]
) -> None:
    assert latest_run(project) == history["new"]
    assert latest_run(project, kind="report") == history["mid"]
    assert latest_run(project, scenario="acqui_kill") == history["other"]
    assert latest_run(project, as_of_given=True) == history["replay"]
    assert latest_run(project, as_of_given=None) == history["replay"]
    assert latest_run(project, scenario="rivals_gone") is None


def test_the_run_before_a_date_was_kept_before_that_day_began(
    project: Path, history: dict[str, Run]
) -> None:
    assert run_before(project, "2026-11-22") == history["mid"]
    assert run_before(project, dt.date(2026, 11, 21)) == history["old"]
    assert run_before(project, "2026-11-20") is None
    moment = dt.datetime(2026, 11, 21, 19, 2, 34, tzinfo=dt.UTC)
    assert run_before(project, moment) == history["mid"]
    assert run_before(project, "2026-12-01", kind="report") == history["mid"]


def test_a_run_says_in_words_when_it_was(history: dict[str, Run]) -> None:
    assert history["mid"].label == "the report of 21 November 2026, 19:02 UTC"
    assert history["new"].label == "the update of 22 November 2026, 09:00 UTC"


# The command, the checks, and the time they take.


def test_the_table_tells_each_run_in_eighty_columns(history: dict[str, Run]) -> None:
    lines = table(list(history.values()))
    assert max(map(len, lines)) <= 80
    mid = next(line for line in lines if line.startswith(history["mid"].short))
    assert mid.split()[1:6] == ["2026-11-21", "19:02", "base", "2026-02-20", "12.0%"]
    assert mid.endswith("report")
    assert any("2026-02-20*" in line and history["replay"].short in line for line in lines)
    assert lines[-1].startswith("* asked for with --as-of")


def test_the_command_lists_runs_on_stdout_and_says_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    project: Path,
    history: dict[str, Run],
) -> None:
    monkeypatch.setenv("VALUATION_HOME", str(project))

    def said(*words: str) -> tuple[str, str]:
        with pytest.raises(SystemExit):
            cli.main(["runs", *words])
        return capfd.readouterr()

    out, err = said()
    assert err == ""
    assert [line[:8] for line in out.splitlines()[1:6]] == [run.short for run in history.values()]
    told = json.loads(said("--json", "--scenario", "acqui_kill")[0])
    assert [run["id"] for run in told] == [history["other"].id]
    assert told[0]["problem"] == ""
    assert said("--json", "--scenario", "rivals_gone") == ("[]\n", "")
    assert said("--scenario", "rivals_gone") == (
        "",
        "No run of 'rivals_gone' is kept yet; `valuation report` keeps every scenario that it makes.\n",
    )
    for words in (("--scenario", "nope"), ("--scenario", "nope", "--json")):
        out, err = said(*words)
        assert out == ""
        assert "unknown scenario 'nope'; available: acqui_kill, base" in err
    assert "unknown deal 'nope'" in said("--deal", "nope")[1]


def project_checks(project: Path) -> dict[str, Result]:
    return {result.name: result for result in checks._runs(project, "meta_scale")}


INTACT, ROWS = "runs: intact", "evidence rows of the latest run: all there, unchanged"


def test_check_passes_sound_runs_and_names_each_damaged_one(project: Path, keep: Keep) -> None:
    assert project_checks(project)[INTACT].detail.startswith("none yet")
    first, second, third = keep(0.1), keep(0.2), keep(0.3)
    assert all(result.passed for result in project_checks(project).values())
    (first.folder / "index.html").write_bytes(b"<p>pagE</p>")
    (third.folder / "manifest.json").unlink()
    found = project_checks(project)[INTACT]
    assert not found.passed
    assert first.id in found.detail
    assert third.id in found.detail
    assert second.id not in found.detail


def rewritten(project: Path, change: Callable[[list[dict[str, str]]], None]) -> None:
    path = project / "seeds" / "evidence.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    header = list(rows[0])
    change(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def test_check_tells_rows_that_were_edited_or_removed_since_the_latest_run(
    project: Path, keep: Keep
) -> None:
    run = keep()
    seen: list[str] = []

    def tamper(rows: list[dict[str, str]]) -> None:
        seen.extend(row["id"] for row in rows[:2])
        rows[0]["credibility"] = "D" if rows[0]["credibility"] != "D" else "A"
        del rows[1]

    rewritten(project, tamper)
    found = project_checks(project)[ROWS]
    assert not found.passed
    edited, removed = found.detail.splitlines()
    assert f"run {run.id}" in edited
    assert f"row {seen[0]!r} differs in credibility; restore it" in edited
    assert f"row {seen[1]!r} is gone; restore it" in removed


def test_check_lets_rows_be_added_and_put_in_another_order(project: Path, keep: Keep) -> None:
    keep()
    path = project / "seeds" / "evidence.csv"
    whole = path.read_text(encoding="utf-8")
    last = whole.splitlines()[-1].split(",")
    path.write_text(whole + ",".join(["Z999", *last[1:]]) + "\n", encoding="utf-8")
    assert project_checks(project)[ROWS].passed
    rewritten(project, lambda rows: rows.reverse())
    assert project_checks(project)[ROWS].passed


def test_check_refuses_a_ledger_that_cannot_be_compared(project: Path, keep: Keep) -> None:
    keep()
    for content in (b"", b"no,such\n1,2\n", b'id\n"open\n', b"\xff\xfe"):
        (project / "seeds" / "evidence.csv").write_bytes(content)
        found = project_checks(project)[ROWS]
        assert (found.passed, "cannot be compared" in found.detail) == (False, True)


def test_listing_runs_reads_their_manifests_and_no_other_file(project: Path, keep: Keep) -> None:
    kept = keep()
    for name in ("results.json", "index.html", "notebook.ipynb"):
        (kept.folder / name).unlink(missing_ok=True)
    assert [run.id for run in list_runs(project)] == [kept.id]


def test_listing_runs_loads_nothing_heavy(project: Path, keep: Keep, root: Path) -> None:
    keep()
    code = (
        "import sys\nfrom pathlib import Path\nfrom valuation import archive\n"
        "assert archive.latest_run(Path(sys.argv[1])).results\n"
        "heavy = {'pandas', 'xarray', 'numpy', 'pydantic', 'yaml', 'scipy', 'click'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, project], capture_output=True, text=True, cwd=root
    )
    assert (done.returncode, done.stderr) == (0, "")
