"""Strict YAML, deals, credibility, limits, schemas, and finding the project."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from valuation.errors import ParameterError, ValuationError
from valuation.params import (
    SCHEMAS,
    cache_folder,
    find_root,
    load_credibility,
    load_deal,
    load_deals,
    load_gate,
    load_grades,
    parse_yaml,
    write_json_schemas,
)
from valuation.params.schemas import json_schema

ROOT = Path(__file__).resolve().parents[1]
DEAL = (ROOT / "params" / "deals" / "meta_scale.yaml").read_text(encoding="utf-8")


def read(text: str) -> Any:
    return parse_yaml(text.encode(), "t.yaml").data


def edited(old: str, new: str) -> str:
    """The shipped deal's text with one change."""
    assert old in DEAL
    return DEAL.replace(old, new, 1)


def line_of(text: str, words: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if words in line)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project."""
    for folder in ("params/deals", "params/scenarios", "seeds"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def write_deal(project: Path, text: str, name: str = "meta_scale") -> Path:
    path = project / "params" / "deals" / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# -- strict YAML -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("14.3e9", 14.3e9),
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("12:30:45", "12:30:45"),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("2026-02-28", "2026-02-28"),
        ("'14'", "14"),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("+3", 3),
        ("true", True),
        ("~", None),
        ("", None),
        ("=", "="),
        ("1e5", 1e5),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
    ],
)
def test_a_plain_scalar_means_what_yaml_1_2_says(text, value):
    found = read(f"key: {text}\n")["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2\n", r"t\.yaml:2:1: a: given twice, first on line 1; keep one of them"),
        ("a: {b: 1, b: 2}\n", r"t\.yaml:1:11: a\.b: given twice"),
        ("q: {0.5: 1, .5: 2}\n", r"q\.0\.5: given twice"),
        ("a: &x 1\nb: *x\n", r"t\.yaml:1:4: an anchor or alias .* write the value out in full"),
        ("a: *x\n", "an anchor or alias"),
        ("a: !!python/object:os.system x\n", r"t\.yaml:1:4: the tag .*python.* is not allowed"),
        ("a: !!str 1\n", "the tag .* remove it; quote a value to make it text"),
        ("? [1, 2]\n: 3\n", "a list or mapping as a key is not allowed; use a plain word"),
        ("a: 1\n---\nb: 2\n", r"t\.yaml:2:1: a second document .* keep one document a file"),
        ("%YAML 1.1\n---\na: 1\n", "a % directive is not allowed; remove the line"),
        ("a: [" + "[" * 900 + "]" * 901 + "\n", "nesting deeper than 40 is not allowed"),
        ("a: [1, 2\nb: 3\n", r"t\.yaml:\d+:\d+: not valid YAML: .*check indentation"),
        ("a: 'x\n", "not valid YAML"),
        ("a: b: c\n", r"t\.yaml:1:5: not valid YAML: mapping values are not allowed here"),
        ("\ta: 1\n", "not valid YAML"),
        ("a: \x07\n", "not valid YAML"),
        ("a: " + "9" * 40 + "\n", "more than 30 digits is not allowed; quote it"),
    ],
)
def test_what_a_settings_file_has_no_use_for_is_refused_at_its_line(text, words):
    with pytest.raises(ParameterError, match=words) as caught:
        read(text)
    assert "\n" not in str(caught.value)


def test_text_that_is_not_utf_8_is_refused_at_its_line():
    words = r"t\.yaml:2:7: byte 0xe9 is not UTF-8; save the file as UTF-8"
    with pytest.raises(ParameterError, match=words):
        parse_yaml("a: 1\nb: caf\u00e9\n".encode("latin-1"), "t.yaml")


def test_a_file_too_large_to_be_settings_is_refused_unread():
    with pytest.raises(ParameterError, match=r"1,000,001 bytes, more than the 1,000,000 allowed"):
        parse_yaml(b"#" * 1_000_001, "t.yaml")


def test_a_byte_order_mark_is_no_part_of_the_first_key():
    assert parse_yaml(b"\xef\xbb\xbfa: 1\n", "t.yaml").data == {"a": 1}


def test_every_key_and_value_has_its_place():
    document = parse_yaml(b"a:\n  - b: 1\n    c: [2, 3]\n", "t.yaml")
    assert document.keys[("a", 0, "c")] == (3, 5)
    assert document.values[("a", 0, "c", 1)] == (3, 12)
    assert document.at(("a", 0, "c", 1), "x; y") == "t.yaml:3:12: a[0].c[1]: x; y"
    assert document.at(("a", 0, "nowhere"), "x") == "t.yaml:2:5: a[0].nowhere: x"


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcNy0-: ", min_size=1), inner)
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(plain)
def test_json_is_read_as_json_reads_it(data):
    text = json.dumps({"key": data}).replace("Infinity", ".inf")
    if "\\ud" in text:  # half of a surrogate pair, which is no text
        return
    assert _texts(read(text)) == _texts({"key": data})


def _texts(value: Any) -> Any:
    # Quoted keys stay text in both; numbers compare by value (1.0 may be written 1e0).
    if isinstance(value, dict):
        return {str(key): _texts(item) for key, item in value.items()}
    return [_texts(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab01:-[]{}'\"#&*!|>%@,? \n\t.", max_size=60))
def test_no_text_crashes_the_reader(text):
    try:
        problems = [f"t.yaml: {type(read(text))}"]
    except ParameterError as error:
        problems = list(error.problems)
    assert [problem[:6] for problem in problems] == ["t.yaml"]


# -- deals -----------------------------------------------------------------------------------------


def test_the_shipped_deal_is_read_and_adds_up():
    deal = load_deal("meta_scale", ROOT)
    assert deal.outlay.total_bn == pytest.approx(14.3)
    entry = deal.stake.fraction * deal.stake.entry_value_bn
    assert entry == pytest.approx(deal.outlay.total_bn, rel=0.01)
    assert (deal.months, deal.closed.isoformat(), deal.ends.isoformat()) == (
        120,
        "2025-06-12",
        "2035-06-12",
    )
    assert set(load_deals(ROOT)) >= {"meta_scale"}
    assert load_deal(ROOT / "params" / "deals" / "meta_scale.yaml", ROOT) == deal


def test_every_number_of_the_shipped_deal_says_where_it_comes_from():
    sourced = re.compile(r"#.*([ABC]\d{2,3}|judgement|see |subject|money back|seven years)")
    terms, _, choice = DEAL.partition("\noptions:\n")
    assert choice  # options and news say it in keys of their own, without which they are refused
    for line in terms.splitlines():
        if re.search(r": \"?-?\d", line):
            assert sourced.search(line), line


def test_the_digest_of_a_deal_follows_its_content_and_not_its_layout(project):
    deal = load_deal("meta_scale", ROOT)
    write_deal(project, "# another comment\n" + edited("0.49 #", "0.490   #"))
    assert load_deal("meta_scale", project).digest() == deal.digest()
    write_deal(project, edited("fraction: 0.49", "fraction: 0.48"))
    assert load_deal("meta_scale", project).digest() != deal.digest()


def test_a_deal_cannot_be_changed_after_birth():
    with pytest.raises(ValueError, match="frozen"):
        load_deal("meta_scale", ROOT).title = "x"


BAD_DEALS = [
    ("strategic_per_year:", "strategc_per_year:",
     r"discount\.strategc_per_year: not a known key; did you mean 'strategic_per_year'\? "
     "known keys: stake_per_year, strategic_per_year"),
    ("horizon_years:", "horizon:",
     r"horizon: not a known key; did you mean 'horizon_years'\? known keys: acquirer, "),
    ("founder: Alexandr Wang", "# founder: Alexandr Wang", "founder: is missing; add it"),
    ("equity_usd_bn: 13.79", "equity_usd_bn: 13790000000",
     r"outlay\.equity_usd_bn: 13790000000 is not between 0 and 1000 \(USD bn\); write 13\.79 for 13\.79 billion"),
    ("equity_usd_bn: 13.79", "equity_usd_bn: 6800",
     r"outlay\.equity_usd_bn: 6800 is not between 0 and 1000 \(USD bn\); check the unit, and the deal's currency"),
    ("equity_usd_bn: 13.79", "equity_usd_bn: -13.79",
     r"outlay\.equity_usd_bn: -13\.79 is not between 0 and 1000 \(USD bn\); check the sign"),
    ("equity_usd_bn: 13.79", "equity_usd_bn: .nan",
     r"outlay\.equity_usd_bn: needs a finite number, found the number nan; .* are refused"),
    ("equity_usd_bn: 13.79", "equity_usd_bn: .inf",
     r"outlay\.equity_usd_bn: needs a finite number, found the number inf"),
    ("equity_usd_bn: 13.79", "equity_usd_bn: USD 14.3 bn",
     r"outlay\.equity_usd_bn: needs a number, found the text 'USD 14\.3 bn'; write it"),
    ("equity_usd_bn: 13.79", "equity_usd_bn: true",
     r"outlay\.equity_usd_bn: needs a number, found the truth value true"),
    ("strategic_per_year: 0.088", "strategic_per_year: 8.8",
     r"discount\.strategic_per_year: 8\.8 is not between -0\.5 and 1; a fraction: 0\.10"),
    ("fraction: 0.49", "fraction: 49",
     r"stake\.fraction: 49 is not between 0 and 1; a fraction: 0\.49 is 49 per cent"),
    ("horizon_years: 10", "horizon_years: 0",
     r"horizon_years: 0 is not between 1 and 30; whole years"),
    ("horizon_years: 10", "horizon_years: 120", "horizon_years: 120 is not between 1 and 30"),
    ("horizon_years: 10", "horizon_years: 7.5",
     r"horizon_years: needs a whole number, found the number 7\.5; write it without"),
    ('closed: "2025-06-12"', "closed: 12.06.2025",
     r"closed: needs a date, found the text '12\.06\.2025'; write it as YYYY-MM-DD"),
    ('closed: "2025-06-12"', "closed: 2025-06-31",
     "closed: '2025-06-31' is not a day of the calendar; correct it"),
    ('closed: "2025-06-12"', "closed: 20250612",
     "closed: needs a date, found the number 20250612; write it as YYYY-MM-DD"),
    ("headline: npv", "headline: profit",
     "headline: the text 'profit' is not a choice; available: irr, moic, no_impairment, npv, "),
    ("strategic: [talent,", "strategic: [tallent,",
     r"strategic\[0\]: 'tallent' is not a component; did you mean 'talent'"),
    ("  talent: true", "  talent: NO",
     r"components\.talent: needs true or false, found the text 'NO'; write true or false"),
    ('moic_by: "2032-06-12"', 'moic_by: "2036-06-12"',
     r"hurdle\.moic_by: 2036-06-12 is not between closing on 2025-06-12 and the end of"),
    ('by: "2027-12-31"', 'by: "2024-12-31"',
     r"impairment\.by: 2024-12-31 is not between closing on 2025-06-12"),
    ("contract_years: 5", "contract_years: 12",
     r"services\.contract_years: 12 is beyond the horizon of 10 years; shorten it"),
    ("exit_years: 7", "exit_years: 11", r"stake\.exit_years: 11 is beyond the horizon of 10 years"),
    ("prepaid_usd_bn: 0.51", "prepaid_usd_bn: 51",
     r"services\.prepaid_usd_bn: 51 is more than the whole outlay of 14\.3; it is a part of it"),
    ("seeds: seeds", "seeds: ../../etc", "seeds: .* is not a valid"),
    ("currency: USD", "currency: EURO",
     r"currency: 'EURO' is not a currency of ISO 4217; did you mean EUR\b.* write its three capitals, as USD"),
    ("outlay:\n", "outlay: 14.3\nrest:\n", "rest: not a known key"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), BAD_DEALS, ids=[case[1] for case in BAD_DEALS])
def test_a_bad_deal_is_one_sentence_with_file_line_and_remedy(project, old, new, words):
    text = edited(old, new)
    path = write_deal(project, text)
    with pytest.raises(ParameterError, match=words) as caught:
        load_deal("meta_scale", project)
    first = caught.value.problems[0]
    place = re.match(rf"{re.escape(path.as_posix())}:(\d+):\d+: ", first)
    assert place, first
    if "missing" not in words:
        assert int(place[1]) == line_of(text, new.splitlines()[-1]), first


def test_a_record_in_place_of_a_mapping_says_what_it_needs(project):
    rest = edited("  equity_usd_bn: 13.79 # B002: booked as non-marketable equity\n", "")
    rest = rest.replace("  other_usd_bn: 0.51 # B001 less B002: 14.30 less 13.79\n", "")
    write_deal(project, rest.replace("outlay:\n", "outlay: 14.3\n", 1))
    with pytest.raises(ParameterError, match="outlay: needs keys and values, found the number 14"):
        load_deal("meta_scale", project)


def test_nothing_paid_is_no_deal(project):
    text = edited("equity_usd_bn: 13.79", "equity_usd_bn: 0").replace(": 0.51", ": 0")
    write_deal(project, text)
    with pytest.raises(ParameterError, match="outlay: equity and other add up to 0; say what"):
        load_deal("meta_scale", project)


def test_all_problems_of_a_deal_come_at_once(project):
    text = edited("fraction: 0.49", "fraction: 49").replace("tax_rate: 0.17", "tax_rate: 17")
    write_deal(project, text)
    with pytest.raises(ParameterError) as caught:
        load_deal("meta_scale", project)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("text", ["", "# only a comment\n", "[1, 2]\n", "just words\n"])
def test_a_file_without_keys_is_refused(project, text):
    write_deal(project, text)
    with pytest.raises(ParameterError, match=r"meta_scale\.yaml.*needs keys and values, but"):
        load_deal("meta_scale", project)


def test_a_deal_file_is_named_for_its_deal(project):
    write_deal(project, DEAL, "other")
    words = (
        r"other\.yaml:3:1: name: is 'meta_scale' in a file named other\.yaml; make them the same"
    )
    with pytest.raises(ParameterError, match=words):
        load_deal("other", project)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("meta_scal", "unknown deal 'meta_scal'; did you mean 'meta_scale'"),
        ("META", "unknown deal 'META'; .*available: meta_scale"),
        ("../../secrets", "not a deal file; give a .yaml file or a name"),
        ("..", "unknown deal"),
        ("x" * 300, "unknown deal 'xxx"),
        ("nowhere/deal.yaml", r"nowhere/deal\.yaml: no such file; check the path of the deal"),
    ],
)
def test_an_unknown_deal_names_the_known_ones(project, name, words):
    write_deal(project, DEAL)
    with pytest.raises(ParameterError, match=words):
        load_deal(name, project)


def test_one_bad_deal_among_several_is_named(project):
    write_deal(project, DEAL)
    write_deal(project, DEAL.replace("name: meta_scale", "name: b").replace("0.49", "49"), "b")
    with pytest.raises(ParameterError, match=r"b\.yaml.*stake\.fraction"):
        load_deals(project)


def test_a_parameter_error_is_what_a_newcomer_would_catch():
    assert issubclass(ParameterError, ValueError)
    assert issubclass(ParameterError, ValuationError)


# -- credibility and limits ------------------------------------------------------------------------


def test_the_shipped_credibility_falls_with_the_grade_and_says_why():
    chances = load_credibility(ROOT / "params" / "credibility.yaml")
    assert list(chances) == ["A", "B", "C", "D"]
    assert sorted(chances.values(), reverse=True) == list(chances.values())
    grades = load_grades(ROOT / "params" / "credibility.yaml")
    assert all(len(getattr(grades, name).rationale) > 40 for name in chances)


CREDIBILITY = "".join(
    f"{grade}: {{probability: {chance}, rationale: because}}\n"
    for grade, chance in (("A", 0.9), ("B", 0.8), ("C", 0.5), ("D", 0.1))
)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "0.8",
            "0.95",
            r"c\.yaml:2:5: B\.probability: 0\.95 is above the 0\.9 of grade A; a worse",
        ),
        ("0.8", "85", r"B\.probability: 85 is not between 0 and 1; a fraction"),
        ("0.8", '"0.8"', r"c\.yaml:2:5: B\.probability: needs a number, found the text '0\.8'"),
        ("D: {", "E: {", r"c\.yaml:4:1: E: not a known key; .*known keys: A, B, C, D"),
        (", rationale: because", "", r"c\.yaml:1:1: A\.rationale: is missing; add it"),
    ],
)
def test_bad_credibility_is_refused_at_its_line(tmp_path, old, new, words):
    path = tmp_path / "c.yaml"
    path.write_text(CREDIBILITY.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ParameterError, match=words):
        load_credibility(path)


def test_a_missing_file_is_named():
    with pytest.raises(ParameterError, match=r"nowhere\.yaml: cannot be read .*check the path"):
        load_credibility("nowhere.yaml")


def test_the_shipped_limits_are_at_least_as_strict_as_usual():
    gate = load_gate(ROOT / "params" / "gate.yaml")
    assert gate.rhat_max <= 1.01
    assert gate.ess_min >= 400
    assert gate.divergences_max == 0
    assert gate.ebfmi_min >= 0.3
    assert gate.treedepth_fraction_max <= 0.01
    assert gate.mcse_to_sd_max <= 0.05
    assert gate.khat_max <= 0.7
    assert gate.chains_min >= 4
    assert {"revenue", "talent_retained", "adoption_share"} <= set(gate.prior_range)


def test_every_limit_of_the_shipped_gate_has_its_reason():
    for line in (ROOT / "params" / "gate.yaml").read_text(encoding="utf-8").splitlines():
        if re.search(r": (\d|\{)", line) and not line.startswith("#"):
            assert "#" in line, line
            assert len(line.split("#")[1]) > 20, line


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("rhat_max: 1.01", "rhat_max: 11", r"gate\.yaml:4:1: rhat_max: 11 is not between 1 and"),
        ("rhat_max:", "rhat:", r"rhat: not a known key; did you mean 'rhat_max'"),
        ("chains_min: 4", "chains_min: 1", "chains_min: 1 is not between 2 and 64; chains: 4 is"),
        ("khat_max: 0.7", "khat_max: .nan", "khat_max: needs a finite number"),
        ("low: 0.005, high: 100.0", "low: 5, high: 1",
         r"prior_range\.revenue\.low: 5 is not below high; swap them"),
    ],
)  # fmt: skip
def test_a_bad_limit_is_refused_at_its_line(tmp_path, old, new, words):
    text = (ROOT / "params" / "gate.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "gate.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ParameterError, match=words):
        load_gate(path)


# -- schemas ---------------------------------------------------------------------------------------


def test_the_committed_schemas_are_up_to_date(tmp_path):
    for path in write_json_schemas(tmp_path):
        committed = ROOT / "params" / "schema" / path.name
        remedy = "run valuation.params.write_json_schemas('params/schema')"
        assert committed.read_text(encoding="utf-8") == path.read_text(encoding="utf-8"), remedy


def settings_files() -> list[tuple[Path, str]]:
    params = ROOT / "params"
    return [
        *((path, "deal") for path in sorted((params / "deals").glob("*.yaml"))),
        *((path, "scenario") for path in sorted((params / "scenarios").glob("*.yaml"))),
        *((params / f"{name}.yaml", name) for name in ("priors", "credibility", "gate")),
    ]


@pytest.mark.parametrize(("path", "kind"), settings_files(), ids=lambda part: Path(part).stem)
def test_every_settings_file_points_editors_at_its_schema_and_obeys_it(path, kind):
    from jsonschema import Draft202012Validator

    first = path.read_text(encoding="utf-8").splitlines()[0]
    match = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert match, first
    schema_file = (path.parent / match[1]).resolve()
    assert schema_file == ROOT / "params" / "schema" / f"{kind}.json"
    schema = json.loads(schema_file.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    content = _text_keys(parse_yaml(path.read_bytes(), path.name).data)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(content)] == []
    assert kind in SCHEMAS


def _text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _text_keys(item) for key, item in value.items()}
    return [_text_keys(item) for item in value] if isinstance(value, list) else value


def test_a_schema_refuses_what_the_reader_refuses():
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(json.loads(json_schema("deal")))
    good = yaml.safe_load(DEAL)
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, "horizn_years": 10})
    assert not validator.is_valid({**good, "horizon_years": 99})
    assert not validator.is_valid({**good, "outlay": {"equity_usd_bn": -1, "other_usd_bn": 0}})


# -- the project -----------------------------------------------------------------------------------


def test_the_root_is_found_from_any_folder_inside(project, monkeypatch):
    monkeypatch.delenv("VALUATION_HOME", raising=False)
    deep = project / "reports" / "deep"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert find_root() == project
    assert find_root(project / "seeds") == project


def test_from_elsewhere_the_package_s_own_project_is_found(tmp_path, monkeypatch):
    monkeypatch.delenv("VALUATION_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert find_root() == ROOT
    assert load_credibility()["A"] == load_credibility(ROOT / "params" / "credibility.yaml")["A"]
    assert load_gate().chains_min == 4


def test_a_named_home_wins_and_must_be_a_project(project, monkeypatch):
    monkeypatch.setenv("VALUATION_HOME", str(project))
    assert find_root(ROOT) == project
    monkeypatch.setenv("VALUATION_HOME", str(project / "seeds"))
    words = "has no params/deals and seeds folders; point it at a project folder or unset it"
    with pytest.raises(ParameterError, match=words):
        find_root()


def test_without_a_project_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("VALUATION_HOME", raising=False)
    monkeypatch.setattr("valuation.params.places.__file__", str(tmp_path / "a" / "b" / "c.py"))
    words = (
        "no project found here or above .*; change into the project folder or set VALUATION_HOME"
    )
    with pytest.raises(ParameterError, match=words):
        find_root(tmp_path)


def test_the_cache_lies_in_the_project_unless_told_otherwise(project, monkeypatch):
    monkeypatch.delenv("VALUATION_CACHE", raising=False)
    assert cache_folder(project) == project / ".cache"
    monkeypatch.setenv("VALUATION_CACHE", str(project / "elsewhere"))
    assert cache_folder(project) == project / "elsewhere"


def test_reading_settings_loads_nothing_heavy():
    code = (
        "import sys; from valuation.params import load_deal; load_deal('meta_scale'); "
        "print([m for m in ('pymc', 'pytensor', 'scipy', 'pandas', 'matplotlib', 'papermill') "
        "if m in sys.modules])"
    )
    environment = {**os.environ, "VALUATION_HOME": str(ROOT), "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert run.stdout.strip() == "[]"


def test_numbers_of_a_deal_are_plain_floats():
    deal = load_deal("meta_scale", ROOT)
    assert type(deal.outlay.equity_bn) is float
    assert np.isfinite(deal.discount.strategic_per_year)


def test_a_deal_may_name_its_author_and_needs_no_fit_for_it(project: Path) -> None:
    from valuation.study.items import WORDS

    write_deal(project, edited("currency: USD\n", "currency: USD\nauthor: Corporate development\n"))
    assert load_deal("meta_scale", project).author == "Corporate development"
    assert load_deal("meta_scale", ROOT).author is None
    assert "author" in WORDS
