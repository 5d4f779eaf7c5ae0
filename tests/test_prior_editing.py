"""Editing a prior: one entry changes, everything else stays byte for byte, nothing is lost."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valuation.errors import ParameterError
from valuation.params import load_priors, parse_yaml
from valuation.params.editing import Edit, edited, preview, set_prior

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = (ROOT / "params" / "priors.yaml").read_bytes()
TODAY = dt.date(2026, 11, 21)

# A file of every layout that the reader takes: block, flow, comments inside, quoted, folded.
MIXED = """\
# The head of the file.
sets:
  house: {label: House view, describe: Ours.}
  sceptic:
    label: Sceptic   # with a note
    describe: Doubts.
    overrides:

      # about x
      x:
        family: normal
        parameters: {mu: -1, sigma: 1.50}   # wide
        source: S
        rationale: r
        date: 2026-02-28   # when
        # still x
  empty:
    label: Empty
    describe: Nothing of its own.
    overrides: {}
  bare:
    label: Bare
    describe: Not even the key.
  inline: {label: Inline, describe: Flow., overrides: {}}
  noted:
    label: Noted
    describe: A comment behind the braces.
    overrides: {}   # none yet

priors:
  # the first
  x:
    unit: points
    label: The x
    date: 2026-02-28
    rationale: >-
      Folded text
      on two lines.

    family: normal
    # how wide is a guess
    parameters:
      mu: 0   # centre
      sigma: 2.50
    source: 'C10'
  # the second
  y: {family: exponential, parameters: {rate: 2}, label: L, unit: points, source: C10,
      rationale: "why, then", date: 2026-02-28}   # tail
  z:
    family: lognormal
    quantiles: {0.05: 1.0, 0.95: 20}
    label: Z
    unit: points
    source: C10
    rationale: plain
    date: 2026-02-28
    by: "Old Hand"
    history:
    - family: fixed
      parameters: {value: 3.0}
      source: C1
      rationale: first
      date: 2025-01-01
      until: 2026-02-28
    # after the history
# the foot
"""


def edit(name: str, **changes: Any) -> Edit:
    settings: dict[str, Any] = {"reason": "a new reason", "by": "Ann Example", "date": TODAY}
    return Edit(name, **{**settings, **changes})


def shape(content: bytes, prior_set: str, name: str) -> dict[str, Any]:
    """An edit that widens what a prior says and fits its family."""
    book = SHIPPED_BOOK if content == SHIPPED else load(content)
    now = book.get(prior_set)[name]
    if now.quantiles is not None:
        return {"quantiles": {q: x * 1.25 for q, x in now.quantiles.items()}}
    return {"parameters": {key: value + 0.125 for key, value in now.parameters.items()}}


@cache
def load(content: bytes) -> Any:
    """The book that a file holds; many edits start from the same one."""
    from valuation.params.priors import priors_of

    return priors_of(parse_yaml(content, "priors.yaml"))[1]


@cache
def document_of(content: bytes) -> Any:
    return parse_yaml(content, "priors.yaml")


def outside(content: bytes, path: tuple[str, ...]) -> tuple[bytes, bytes]:
    """What comes before an entry's first line and from the next key at its level or above on."""
    document = document_of(content)
    line, column = document.keys[path]
    lines = content.splitlines(keepends=True)
    after = len(lines)
    for other, at in document.keys.values():
        if other > line and at <= column:
            after = min(after, other - 1)
    # Comments before the next key belong to it, or to nobody.
    while after > line and lines[after - 1].strip()[:1] in (b"#", b""):
        after -= 1
    return b"".join(lines[: line - 1]), b"".join(lines[after:])


def where(prior_set: str, name: str) -> tuple[str, ...]:
    return ("priors", name) if prior_set == "house" else ("sets", prior_set, "overrides", name)


SHIPPED_BOOK = load(SHIPPED)
SHIPPED_CASES = [(each, name) for each in SHIPPED_BOOK.sets() for name in SHIPPED_BOOK.get(each)]


# -- what changes, and what does not ---------------------------------------------------------------


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(case=st.sampled_from(SHIPPED_CASES))
def test_only_the_entry_changes_and_the_rest_of_the_file_stays_byte_for_byte(case):
    prior_set, name = case
    done = edited(SHIPPED, edit(name, prior_set=prior_set, **shape(SHIPPED, prior_set, name)))
    path = where(prior_set, name)
    before, after = outside(done.new, path)
    if done.added:
        assert before + after == SHIPPED
    else:
        assert (before, after) == outside(SHIPPED, path)
    old, new = SHIPPED_BOOK, load(done.new)
    for each in old.sets():
        for key, value in old.get(each).items():
            follows = name not in old.changed(each) and prior_set == "house"
            if key == name and (each == prior_set or follows):
                continue
            assert new.get(each)[key] == value


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("prior_set", "name"),
    [
        *(("house", name) for name in "xyz"),
        *((s, "x") for s in ("sceptic", "empty", "bare", "inline", "noted")),
        *((s, "z") for s in ("sceptic", "empty", "bare", "inline", "noted")),
    ],
)
def test_every_layout_keeps_its_comments_order_and_line_ends(prior_set, name, line_break, mark):
    content = mark + MIXED.replace("\n", line_break).encode()
    once = edited(content, edit(name, prior_set=prior_set, **shape(content, prior_set, name)))
    twice = edited(once.new, edit(name, prior_set=prior_set, **shape(once.new, prior_set, name)))
    for done in (once, twice):
        text = done.new.decode()
        assert text.count("\n") == text.count(line_break)
        assert text.startswith(mark.decode())
        assert comments(text) == comments(content.decode())
        kept = load(done.new).get(prior_set)[name]
        assert kept.content() == done.after.content()
        assert kept.content() != done.before.content()
    earlier = len(load(content).get(prior_set)[name].history) if not once.added else 0
    assert len(twice.after.history) == earlier + (1 if once.added else 2)


@pytest.mark.parametrize(
    "there",
    [
        "[]",
        "[{family: fixed, parameters: {value: 3}, source: C1, "
        "rationale: 'a, b', date: 2025-01-01, until: 2026-02-28}]",
    ],
)
def test_a_history_on_one_line_grows_on_that_line(there):
    odd = MIXED.replace('    by: "Old Hand"\n', "    by: Old, Hand\n")
    start = odd.index("    history:\n")
    end = odd.index("    # after the history")
    content = (odd[:start] + f"    history: {there}   # kept\n" + odd[end:]).encode()
    done = edited(content, edit("z", **shape(content, "house", "z")))
    assert [past.by for past in done.after.history][-1] == "Old, Hand"
    assert len(done.after.history) == 1 + ("fixed" in there)
    assert comments(done.new.decode()) == comments(content.decode())


def comments(text: str) -> list[str]:
    return [line[line.index("#") :].rstrip() for line in text.splitlines() if "#" in line]


def test_the_lines_of_an_entry_are_replaced_in_their_place():
    quantiles = {0.95: 20.0, 0.05: 2.0, 0.5: 6.0}
    done = edited(SHIPPED, edit("exit_multiple", quantiles=quantiles, source="C62"))
    assert done.lines()[1:] == [
        "     family: lognormal",
        "-    quantiles: {0.05: 2, 0.5: 7, 0.95: 22}",
        "+    quantiles: {0.05: 2, 0.5: 6, 0.95: 20}",
        "     source: C62",
        "-    rationale: Peers at twelve to twenty-two times today, the listed peer below one; "
        "multiples shrink as growth does.",
        "-    date: 2026-02-28",
        "+    rationale: a new reason",
        "+    date: 2026-11-21",
        "+    by: Ann Example",
        "+    history:",
        "+      - family: lognormal",
        "+        quantiles: {0.05: 2, 0.5: 7, 0.95: 22}",
        "+        source: C62",
        "+        rationale: Peers at twelve to twenty-two times today, the listed peer below one; "
        "multiples shrink as growth does.",
        "+        date: 2026-02-28",
        "+        until: 2026-11-21",
        "   liquidity_discount:",
    ]
    assert done.apart == ("Sceptic", "Enthusiast")


def test_a_number_keeps_its_spelling_in_the_history():
    done = edited(SHIPPED, edit("data_spend", quantiles={0.05: 0.5, 0.5: 1.0, 0.95: 2.5}))
    assert "+        quantiles: {0.05: 0.4, 0.5: 0.9, 0.95: 2.0}" in done.lines()


def test_the_head_of_the_shipped_file_still_tells_which_priors_were_revised():
    done = edited(SHIPPED, edit("denial_usd_bn", quantiles={0.05: 0.01, 0.5: 0.1, 0.95: 1}))
    assert done.new[: SHIPPED.index(b"\nsets:")] == SHIPPED[: SHIPPED.index(b"\nsets:")]


def test_another_family_and_parameters_instead_of_quantiles_take_the_old_place():
    done = edited(
        SHIPPED, edit("exit_multiple", family="gamma", parameters={"beta": 0.25, "alpha": 2.0})
    )
    assert "+    parameters: {alpha: 2, beta: 0.25}" in done.lines()
    assert (done.after.family, dict(done.after.parameters)) == ("gamma", {"alpha": 2, "beta": 0.25})
    assert done.after.quantiles is None
    back = edited(
        done.new,
        edit("exit_multiple", family="lognormal", quantiles={0.05: 2, 0.5: 7, 0.95: 22}),
    )
    assert back.after.content() == SHIPPED_BOOK.get()["exit_multiple"].content()


def test_a_set_gets_a_value_of_its_own_and_the_house_keeps_its_own():
    done = edited(
        SHIPPED, edit("conflict_share", prior_set="sceptic", parameters={"alpha": 2, "beta": 2})
    )
    assert done.added
    book = load(done.new)
    assert book.get("house")["conflict_share"] == SHIPPED_BOOK.get()["conflict_share"]
    assert book.get("enthusiast")["conflict_share"] is book.get("house")["conflict_share"]
    own = book.get("sceptic")["conflict_share"]
    assert (own.by, own.history, own.label) == ("Ann Example", (), done.before.label)
    assert {*book.changed("sceptic")} == {*SHIPPED_BOOK.changed("sceptic"), "conflict_share"}


@pytest.mark.parametrize("prior_set", ["house", "sceptic"])
def test_what_was_said_before_stays_in_the_history_with_its_words_and_dates(prior_set):
    content, said = SHIPPED, [SHIPPED_BOOK.get(prior_set)["exit_multiple"]]
    for step in range(3):
        change = edit(
            "exit_multiple",
            prior_set=prior_set,
            quantiles={0.05: 1.0, 0.5: 5.0 + step, 0.95: 25.0},
            reason=f"reason {step}",
            by=f"author {step}",
            date=TODAY + dt.timedelta(days=step),
        )
        done = edited(content, change)
        content = done.new
        said.append(done.after)
        history = done.after.history
        assert len(history) == step + 1
        for past, then, following in zip(history, said[:-1], said[1:], strict=True):
            old = past.prior(done.after)
            assert old.content() == then.content()
            assert dict(old.parameters) == dict(then.parameters)
            words = (then.source, then.rationale, then.date, then.by)
            assert (past.source, past.rationale, past.date, past.by) == words
            assert past.until == following.date


def test_words_authors_and_histories_do_not_move_the_digest():
    there = edited(SHIPPED, edit("exit_multiple", quantiles={0.05: 2, 0.5: 6, 0.95: 20}))
    assert load(there.new).digest() != SHIPPED_BOOK.digest()
    back = edited(there.new, edit("exit_multiple", quantiles={0.05: 2, 0.5: 7, 0.95: 22}))
    assert back.new != SHIPPED
    assert load(back.new).digest() == SHIPPED_BOOK.digest()
    assert load(back.new).digest("sceptic") == SHIPPED_BOOK.digest("sceptic")


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(reason=st.text(max_size=60), by=st.text(max_size=20), name=st.sampled_from("xyz"))
def test_any_words_come_back_as_they_were_said(reason, by, name):
    content = MIXED.encode()
    change = edit(name, reason=reason, by=by, **shape(content, "house", name))
    said = [" ".join(text.split()) for text in (reason, by)]
    if not all(said):
        with pytest.raises(ParameterError, match="is empty; say it in words"):
            edited(content, change)
        return
    done = edited(content, change)
    assert [done.after.rationale, done.after.by] == said
    again = edited(done.new, edit(name, **shape(done.new, "house", name)))
    assert [again.after.history[-1].rationale, again.after.history[-1].by] == said
    # Another reader of YAML sees the same text and no truth values or numbers.
    entry = yaml.safe_load(done.new)["priors"][name]
    for key, text in zip(("rationale", "by"), said, strict=True):
        assert str(entry[key]) == text


@pytest.mark.parametrize(
    "words",
    ["No", "1:30", "a: b", "a #b", "- a", "{a}", "x, y", "'", '"', "\\n", "é 中 🎉", "a\tb"],
)
@pytest.mark.parametrize("name", ["x", "y"])
def test_words_that_yaml_could_take_for_something_else_are_quoted(words, name):
    content = MIXED.encode()
    done = edited(content, edit(name, reason=words, **shape(content, "house", name)))
    assert done.after.rationale == " ".join(words.split())
    assert yaml.safe_load(done.new)["priors"][name]["rationale"] == " ".join(words.split())


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        (
            "exit_multipel",
            {"quantiles": {0.5: 1}},
            "unknown prior 'exit_multipel'; did you mean 'exit_multiple'.*`valuation prior list`",
        ),
        (
            "exit_multiple",
            {"prior_set": "septic", "quantiles": {0.5: 1}},
            "unknown prior set 'septic'; did you mean 'sceptic'",
        ),
        (
            "exit_multiple",
            {"family": "gama", "quantiles": {0.5: 1}},
            "exit_multiple: unknown family 'gama'; did you mean 'gamma'",
        ),
        (
            "exit_multiple",
            {"quantiles": {0.05: 9, 0.5: 6, 0.95: 20}},
            "exit_multiple: quantiles: do not increase with their probabilities; order them",
        ),
        (
            "exit_multiple",
            {"quantiles": {0.05: 1, 0.5: 1.1, 0.95: 90}},
            "exit_multiple: quantiles: no lognormal has these; the nearest has .*; change them",
        ),
        (
            "exit_multiple",
            {"quantiles": {5: 7, 0.5: 1}},
            r"quantiles\.5: not a probability; write 0\.05",
        ),
        ("exit_multiple", {"quantiles": {0.5: 7}}, "1 given; lognormal needs at least 2"),
        ("exit_multiple", {"quantiles": {0.05: 1, 0.5: float("nan")}}, "needs a finite number"),
        (
            "conflict_share",
            {"quantiles": {0.05: 0.1, 0.5: 20}},
            "20 is outside 0 to 1; choose another family",
        ),
        (
            "exit_multiple",
            {"parameters": {"alpha": 1, "beta": 2}},
            "exit_multiple: lognormal takes mu, sigma, got alpha, beta; give exactly those, "
            "or the family gamma or beta",
        ),
        ("integration", {"parameters": {"mu": 0, "sigma": -1}}, "sigma is -1; it must be above 0"),
        (
            "integration",
            {"parameters": {"mu": 0, "sigma": 1}},
            "integration: house has exactly these numbers since 2026-02-28; there is nothing",
        ),
        (
            "integration",
            {"parameters": {"mu": 0, "sigma": 1}, "prior_set": "sceptic"},
            "integration: sceptic has exactly these numbers from the house; there is nothing",
        ),
        (
            "exit_multiple",
            {"quantiles": {0.95: 22, 0.5: 7.0, 0.05: 2}},
            "exit_multiple: house has exactly these numbers",
        ),
        ("integration", {}, "integration: give either parameters or quantiles of normal"),
        (
            "integration",
            {"parameters": {"mu": 1, "sigma": 1}, "date": dt.date(2025, 1, 1)},
            "2025-01-01 is before 2026-02-28, when the present value began; give a later date",
        ),
        (
            "integration",
            {"parameters": {"mu": 1, "sigma": 1}, "reason": " \n"},
            "the reason is empty; say it in words",
        ),
        (
            "integration",
            {"parameters": {"mu": 1, "sigma": 1}, "by": "\udcff"},
            "the author is not UTF-8 text",
        ),
        (
            "integration",
            {"parameters": {"mu": 1, "sigma": 1}, "reason": "x" * 4001},
            "integration: rationale: is longer than 4000 characters; shorten it",
        ),
    ],
)
def test_an_edit_that_makes_no_sense_is_one_sentence_and_writes_nothing(
    project, name, changes, words
):
    path = project / "params" / "priors.yaml"
    names = sorted(os.listdir(path.parent))
    with pytest.raises(ParameterError, match=words) as caught:
        set_prior(path, edit(name, **changes), locks=project / "locks")
    assert len(str(caught.value).splitlines()) == 1
    assert path.read_bytes() == SHIPPED
    assert sorted(os.listdir(path.parent)) == names


def test_a_file_that_was_spoiled_by_hand_is_refused_with_its_line_before_anything_is_written(
    project,
):
    path = project / "params" / "priors.yaml"
    spoiled = SHIPPED.replace(b"{alpha: 6, beta: 24}", b"{alpha: 6, beta: -24}")
    path.write_bytes(spoiled)
    with pytest.raises(ParameterError, match=r"priors\.yaml:\d+:\d+: .*beta is -24"):
        set_prior(
            path, edit("integration", parameters={"mu": 1, "sigma": 1}), locks=project / "locks"
        )
    assert path.read_bytes() == spoiled


def test_a_layout_that_cannot_be_edited_safely_is_refused():
    odd = MIXED.replace("    source: 'C10'\n", "    source: 'C10'\n    by:\n")
    with pytest.raises(ParameterError, match="cannot be edited safely; write it as its neighbours"):
        edited(odd.encode(), edit("x", parameters={"mu": 1, "sigma": 1}))


def test_a_history_that_would_outgrow_the_file_is_refused():
    padded = SHIPPED + b"#" * (999_990 - len(SHIPPED)) + b"\n"
    with pytest.raises(ParameterError, match="would be larger than the 1,000,000 bytes allowed"):
        edited(padded, edit("integration", parameters={"mu": 1, "sigma": 1}))


# -- the file itself -------------------------------------------------------------------------------


def test_a_preview_writes_nothing_and_says_what_would_change(project):
    path = project / "params" / "priors.yaml"
    done = preview(path, edit("integration", parameters={"mu": 0.5, "sigma": 1}))
    assert path.read_bytes() == SHIPPED == done.old
    assert set_prior(path, done.edit, locks=project / "locks").new == done.new
    assert path.read_bytes() == done.new


def test_a_link_is_followed_and_the_file_keeps_its_mode(project):
    path = project / "params" / "priors.yaml"
    path.chmod(0o640)
    link = project / "link.yaml"
    link.symlink_to(path)
    change = edit("integration", parameters={"mu": 1, "sigma": 1})
    set_prior(link, change, locks=project / "locks")
    assert link.is_symlink()
    assert load_priors(path).get()["integration"].by == "Ann Example"
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_an_editor_saves_meanwhile_is_not_lost(project, monkeypatch):
    path = project / "params" / "priors.yaml"
    real, by_hand = os.fsync, SHIPPED.replace(b"# Regulation", b"# Regulation, seen by hand")

    def save_by_hand(handle: int) -> None:
        real(handle)
        if path.read_bytes() == SHIPPED:
            path.write_bytes(by_hand)

    monkeypatch.setattr(os, "fsync", save_by_hand)
    change = edit("integration", parameters={"mu": 1, "sigma": 1})
    set_prior(path, change, locks=project / "locks")
    assert b"# Regulation, seen by hand" in path.read_bytes()
    assert load_priors(path).get()["integration"].parameters["mu"] == 1


def test_a_file_that_never_rests_is_given_up_with_a_sentence(project, monkeypatch):
    path = project / "params" / "priors.yaml"
    real = os.fsync

    def save_by_hand(handle: int) -> None:
        real(handle)
        path.write_bytes(path.read_bytes() + b"# again\n")

    monkeypatch.setattr(os, "fsync", save_by_hand)
    with pytest.raises(ParameterError, match="changes while it is edited; save it"):
        set_prior(
            path, edit("integration", parameters={"mu": 1, "sigma": 1}), locks=project / "locks"
        )
    assert load_priors(path).get()["integration"].parameters["mu"] == 0


def test_a_folder_that_cannot_be_written_is_one_sentence(project, monkeypatch):
    path = project / "params" / "priors.yaml"

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(
        ParameterError, match=r"cannot be written .No space left.*; check the space"
    ):
        set_prior(
            path, edit("integration", parameters={"mu": 1, "sigma": 1}), locks=project / "locks"
        )
    assert path.read_bytes() == SHIPPED
    assert not list(path.parent.glob(".*.tmp"))
    with pytest.raises(ParameterError, match=r"cannot be read .*; check the path"):
        preview(project / "nope.yaml", edit("integration"))
    (project / "file").write_text("")
    with pytest.raises(ParameterError, match=r"cannot be made .*; set VALUATION_CACHE"):
        set_prior(path, edit("integration"), locks=project / "file" / "locks")


WRITER = """
import datetime as dt, os, signal, sys, time
from pathlib import Path
from valuation.params import editing
path, locks, name, times, die = sys.argv[1:]
if die:
    def killed(*args, **options):
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(os, die, killed)
while not Path(locks, "go").exists():
    time.sleep(0.01)
for step in range(int(times)):
    editing.set_prior(path, editing.Edit(
        name, f"step {step}", name, dt.date(2026, 11, 21),
        parameters={"mu": step + 1.0, "sigma": 1.0},
    ), locks=Path(locks))
"""


@pytest.fixture
def writer(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start a process that edits one prior of ``priors.yaml`` again and again."""
    (tmp_path / "locks").mkdir()
    entries = "".join(
        f"  {name}: # of {name}\n    label: L\n    unit: points\n    family: normal\n"
        "    parameters: {mu: 0, sigma: 1}\n    source: S\n    rationale: r\n"
        "    date: 2026-02-28\n"
        for name in "abc"
    )
    head = "sets:\n  house: {label: House view, describe: Ours.}\npriors:\n"
    (tmp_path / "priors.yaml").write_text(head + entries, encoding="utf-8")

    def start(name: str, times: int, die: str = "") -> subprocess.Popen[str]:
        words = [str(tmp_path / "priors.yaml"), str(tmp_path / "locks"), name, str(times), die]
        return subprocess.Popen(
            [sys.executable, "-c", WRITER, *words],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    return start


def test_processes_that_edit_different_priors_at_once_lose_nothing(tmp_path, writer):
    running = [writer(name, 12) for name in "abc"]
    (tmp_path / "locks" / "go").touch()
    for process in running:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    text = (tmp_path / "priors.yaml").read_text(encoding="utf-8")
    found = load_priors(tmp_path / "priors.yaml").get()
    for name in "abc":
        assert found[name].parameters["mu"] == 12
        stated = [past.parameters["mu"] for past in found[name].history]
        assert stated == list(range(12))
        assert f"  {name}: # of {name}\n" in text
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_process_killed_while_it_writes_leaves_the_old_file_and_no_lock(tmp_path, writer, moment):
    (tmp_path / "locks" / "go").touch()
    path = tmp_path / "priors.yaml"
    before = path.read_bytes()
    process = writer("a", 1, moment)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    assert list(tmp_path.glob(".*.tmp"))
    change = edit("a", parameters={"mu": 1, "sigma": 1})
    set_prior(path, change, locks=tmp_path / "locks")
    assert load_priors(path).get()["a"].parameters["mu"] == 1
    assert not list(tmp_path.glob(".*.tmp"))


def test_killed_at_any_moment_the_file_is_one_that_was_whole(tmp_path, writer):
    path = tmp_path / "priors.yaml"
    (tmp_path / "locks" / "go").touch()
    process = writer("a", 10_000)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and load_priors(path).get()["a"].parameters["mu"] < 5:
        time.sleep(0.01)  # it is at work, and a reader always finds a whole file
    process.kill()
    process.communicate()
    found = load_priors(path).get()["a"]
    stated = [past.parameters["mu"] for past in found.history]
    assert stated == list(range(int(found.parameters["mu"])))


def test_who_waits_for_another_edit_is_told_so(project, capsys, monkeypatch):
    path = project / "params" / "priors.yaml"
    locks = project / "locks"
    change = edit("integration", parameters={"mu": 1, "sigma": 1})
    set_prior(path, change, locks=locks)
    (held,) = locks.glob("*.lock")
    real, tries = FileLock.acquire, []

    def busy(self: FileLock, *args: Any, **options: Any) -> Any:
        from filelock import Timeout

        tries.append(options)
        if len(tries) == 1:
            raise Timeout(str(held))
        return real(self, *args, **options)

    monkeypatch.setattr(FileLock, "acquire", busy)
    again = edit("integration", parameters={"mu": 2, "sigma": 1})
    set_prior(path, again, locks=locks)
    assert "waiting for another process that edits" in capsys.readouterr().err
    assert load_priors(path).get()["integration"].parameters["mu"] == 2


# -- the command -----------------------------------------------------------------------------------

Run = Callable[..., tuple[int, str, str]]
SIGNED = ("--reason", "Peers fell by a sixth", "--by", "Ann Example")


@pytest.fixture
def run(command: Run, monkeypatch: pytest.MonkeyPatch, project: Path) -> Run:
    """Run `valuation prior` in a copy of the project; returns exit code, stdout, stderr."""
    monkeypatch.setenv("VALUATION_HOME", str(project))
    return partial(command, "prior")


def test_set_prints_old_and_new_and_what_to_run_next(run, project):
    words = ("set", "exit_multiple", "--quantiles", "0.05=2,50%=6,0.95=20")
    code, out, err = run(*words, *SIGNED)
    assert code == 0
    was, now = out.splitlines()[2:4]
    assert was.split()[:5] == ["was", "2.036", "6.753", "22.4", "8.808"]
    assert now.split()[:5] == ["is", "1.965", "6.214", "19.65", "7.939"]
    assert "Ann Example" in now
    assert "No lognormal has exactly these quantiles; the nearest: 5% 1.965" in out
    assert "Sceptic and Enthusiast keep their own value." in out
    assert err.endswith("Now run: valuation update\n")
    found = load_priors(project / "params" / "priors.yaml").get()["exit_multiple"]
    assert found.quantiles == {0.05: 2, 0.5: 6, 0.95: 20}
    assert (found.by, found.rationale) == ("Ann Example", "Peers fell by a sixth")
    assert (found.source, found.date) == ("judgement", dt.date.today())


def test_show_prints_distribution_source_reason_and_every_earlier_value(run):
    code, out, _ = run("show", "exit_multiple")
    assert code == 0
    assert "exit_multiple: Value over revenue at the exit" in out
    assert "x revenue" in out
    assert "stated          2         7        22" in out
    assert "fitted      2.036     6.753      22.4" in out
    assert "No earlier value is on record." in out
    run("set", "exit_multiple", "--quantiles", "0.05=2,0.5=6,0.95=20", *SIGNED)
    _, out, _ = run("show", "exit_multiple")
    assert "by Ann Example" in out
    assert "Earlier values, the latest first:" in out
    assert f"  2026-02-28 to {dt.date.today()}, source C62" in out
    assert "5% 2.036, 50% 6.753, 95% 22.4" in out
    assert "Peers at twelve to twenty-two times today" in out
    _, out, _ = run("show", "exit_multiple", "--json")
    shown = json.loads(out)
    assert shown["set"] == "house"
    assert [row["stated"] for row in shown["quantiles"]] == [2, 6, 20]
    assert shown["lower"] < shown["median"] < shown["upper"]
    (old,) = shown["history"]
    assert [row["stated"] for row in old["quantiles"]] == [2, 7, 22]
    assert (old["date"], old["until"]) == ("2026-02-28", dt.date.today().isoformat())


def test_show_says_when_a_set_follows_the_house(run):
    _, out, _ = run("show", "conflict_share", "--set", "sceptic")
    assert "sceptic, which follows house" in out
    _, out, _ = run("show", "exit_multiple", "--set", "sceptic")
    assert "1.2       4.5        14" in out


def test_set_adds_a_value_to_a_set_and_says_so(run, project):
    words = ("set", "conflict_share", "--parameters", "alpha=2, beta=2", "--set", "sceptic")
    code, out, _ = run(*words, *SIGNED)
    assert code == 0
    assert "sceptic had followed the house; it has a value of its own from now on." in out
    book = load_priors(project / "params" / "priors.yaml")
    assert dict(book.get("sceptic")["conflict_share"].parameters) == {"alpha": 2, "beta": 2}
    assert dict(book.get("house")["conflict_share"].parameters) == {"alpha": 3, "beta": 1.5}
    _, out, _ = run("list", "--set", "sceptic")
    starred = [line.split()[0] for line in out.splitlines() if " * " in line]
    assert "conflict_share" in starred
    assert len(starred) == 5


def test_list_has_every_prior_with_its_quantiles(run):
    _, out, _ = run("list")
    names = [line.split()[0] for line in out.splitlines()[1:]]
    assert names == list(SHIPPED_BOOK.get())
    _, out, _ = run("list", "--json")
    rows = json.loads(out)
    assert [row["name"] for row in rows] == names
    assert {row["set"] for row in rows} == {"house"}


def test_a_dry_run_shows_the_lines_and_writes_nothing(run, project):
    words = ("set", "exit_multiple", "--quantiles", "0.05=2,0.5=6,0.95=20", "--dry-run")
    code, out, err = run(*words, *SIGNED)
    assert code == 0
    assert "-    quantiles: {0.05: 2, 0.5: 7, 0.95: 22}" in out.splitlines()
    assert "+    quantiles: {0.05: 2, 0.5: 6, 0.95: 20}" in out.splitlines()
    assert err == "Nothing was written.\n"
    assert (project / "params" / "priors.yaml").read_bytes() == SHIPPED


def test_set_as_json_is_all_that_goes_to_stdout(run):
    words = ("set", "integration", "--parameters", "mu=0.5,sigma=1", "--json", "--date")
    code, out, _ = run(*words, "2026-03-01", *SIGNED)
    changed = json.loads(out)
    assert (code, changed["written"], changed["set"]) == (0, True, "house")
    assert changed["was"]["parameters"] == {"mu": 0, "sigma": 1}
    assert changed["is"]["parameters"] == {"mu": 0.5, "sigma": 1}
    assert changed["is"]["date"] == "2026-03-01"


def test_a_mean_without_bound_is_shown_and_is_no_number_in_json(run):
    words = ("set", "exit_multiple", "--quantiles", "0.5=1e-9,0.501=1e6")
    assert run(*words, *SIGNED)[0] == 0
    _, out, _ = run("show", "exit_multiple")
    assert "mean          inf" in out
    _, out, _ = run("show", "exit_multiple", "--json")
    assert json.loads(out)["mean"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["set", "exit_multiple", *SIGNED], "give --quantiles or --parameters, one of them"),
        (
            ["set", "integration", "--quantiles", "0.5=1", "--parameters", "mu=1", *SIGNED],
            "give --quantiles or --parameters, one of them",
        ),
        (
            ["set", "exit_multiple", "--quantiles", "0.05:2", *SIGNED],
            "'0.05:2' is not of the form; write 0.05=0.1,0.5=0.3,0.95=0.9",
        ),
        (["set", "exit_multiple", "--quantiles", "a=2", *SIGNED], "'a=2' is not of the form"),
        (["set", "exit_multiple", "--parameters", "=2", *SIGNED], "'=2' is not of the form"),
        (
            ["set", "exit_multiple", "--quantiles", "0.5=2,50%=3", *SIGNED],
            "50% is given twice; keep one of them",
        ),
        (
            ["set", "exit_multiple", "--quantiles", "0.05=9,0.5=3", *SIGNED],
            "exit_multiple: quantiles: do not increase with their probabilities; order them",
        ),
        (
            ["set", "exit_multiple", "--quantiles", "0.05=2,0.5=7,0.95=22", *SIGNED],
            "exit_multiple: house has exactly these numbers since 2026-02-28",
        ),
        (["set", "exit_multiple", "--quantiles", "0.05=2,0.5=3"], "Missing option '--reason'"),
        (
            ["set", "exit_multiple", "--quantiles", "0.05=2,0.5=3", "--reason", "r", "--by", " "],
            "the author is empty",
        ),
        (
            ["set", "exit_multiple", "--quantiles", "0.05=2,0.5=3", "--date", "2999-01-01"],
            "is in the future",
        ),
        (
            ["set", "exit_multiple", "--quantiles", "0.05=2,0.5=3", "--source", "C999", *SIGNED],
            "'C999' is no row of base_rates.csv, evidence.csv, reference_deals.csv; name one, or judgement",
        ),
        (["show", "exit_multipel"], "unknown prior 'exit_multipel'; did you mean 'exit_multiple'"),
        (["show", "integration", "--set", "nope"], "unknown prior set 'nope'; available"),
        (["list", "--deal", "nope"], "unknown deal 'nope'"),
    ],
)
def test_a_slip_is_one_line_that_says_what_to_do_and_writes_nothing(run, project, words, said):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert said in err
    assert len(err.splitlines()) == 1
    assert (project / "params" / "priors.yaml").read_bytes() == SHIPPED


@pytest.mark.parametrize("name", ["list", "show", "set"])
def test_every_prior_command_explains_itself_in_eighty_columns(run, name):
    code, out, err = run(name, "--help")
    assert (code, err) == (0, "")
    assert max(len(line) for line in out.splitlines()) <= 80


def test_a_changed_prior_still_obeys_the_schema_that_editors_check(run, project):
    from jsonschema import Draft202012Validator

    run("set", "exit_multiple", "--quantiles", "0.05=2,0.5=6,0.95=20", *SIGNED)
    schema = json.loads((ROOT / "params" / "schema" / "priors.json").read_text(encoding="utf-8"))
    content = (project / "params" / "priors.yaml").read_bytes()
    data = json.loads(json.dumps(parse_yaml(content, "priors.yaml").data))
    assert list(Draft202012Validator(schema).iter_errors(data)) == []
