"""Reading YAML: plain data with lines, and nothing else."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops import yamldoc
from wedsync_ops.errors import InvalidYaml


def test_values_and_the_line_of_every_path() -> None:
    document = yamldoc.read(b"# a comment\na: 1\nb:\n  - x\n  - c: true\n    d: null\ne: {f: 1.5}\n")
    assert document.value == {"a": 1, "b": ["x", {"c": True, "d": None}], "e": {"f": 1.5}}
    lines = {("a",): 2, ("b",): 3, ("b", 0): 4, ("b", 1): 5, ("b", 1, "c"): 5, ("b", 1, "d"): 6, ("e", "f"): 7}
    assert {path: document.line_of(path) for path in lines} == lines


def test_a_path_that_is_missing_has_the_line_of_its_nearest_ancestor() -> None:
    document = yamldoc.read(b"x: 1\na:\n  b: 1\n")
    assert document.line_of(("a", "nowhere", 3)) == 2
    assert document.line_of(("nowhere",)) == 1


@pytest.mark.parametrize("raw", [b"", b"\n\n", b"# only a comment\n", b"\xef\xbb\xbf", b"---\n", b"~"])
def test_an_empty_file_is_nothing(raw: bytes) -> None:
    assert yamldoc.read(raw).value is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2027-06-19", "2027-06-19"),
        ("2027-06-19T14:00:00Z", "2027-06-19T14:00:00Z"),
        ("09:30", "09:30"),
        ("12:30.5", "12:30.5"),
        ("=", "="),
        ("9" * 500, "9" * 500),
        ("0x1F", 31),
        ("-7", -7),
        ("1e3", "1e3"),
        ("1.0e+3", 1000.0),
        ("'5'", "5"),
        ('"yes"', "yes"),
        ("no", False),
        ("|\n  two\n  lines\n", "two\nlines\n"),
        ("&anchor 5", 5),
    ],
)
def test_scalars(text: str, value: object) -> None:
    found = yamldoc.read(f"key: {text}".encode()).value["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("raw", "line", "part"),
    [
        (b"a: 1\nb: !!python/object/apply:os.system ['true']\n", 2, "tag"),
        (b"a: !!str 5\n", 1, "tag"),
        (b"a: ! 5\n", 1, "tag"),
        (b"a:\n  - !local {x: 1}\n", 2, "tag"),
        (b"!!python/name:os.system x: 1\n", 1, "tag"),
        (b"a: !!binary aGVsbG8=\n", 1, "tag"),
        (b"a: !!set {x}\n", 1, "tag"),
        (b"a: &x [1]\nb: *x\n", 2, "aliases"),
        (b"a: &x\n  b: *x\n", 2, "aliases"),
        (b"&k a: 1\n*k : 2\n", 2, "key"),
        (b"a: {b: 1}\nc:\n  <<: {d: 1}\n", 3, "merge"),
        (b"a: 1\nb: 2\na: 3\n", 3, "'a' stands twice"),
        (b"1: x\n'1': y\n", 2, "stands twice"),
        (b"? [a, b]\n: 1\n", 1, "key"),
        (b"a: 1\n--- \nb: 2\n", 2, "second document"),
        (b"a: .nan\n", 1, "nan"),
        (b"a: 1\nb: -.inf\n", 2, "inf"),
        (b"a: 99999999999999999999\n", 1, "64 bits"),
        (b'a: "x\\0y"\n', 1, "NUL"),
        (b'"x\\0y": 1\n', 1, "NUL"),
        (b"a: 1\nb: \xff\xfe\n", 2, "UTF-8"),
        (b"\x00\x01\x02\x7fELF", 1, "NUL"),
        (b"a: 1\nb: [1, 2\nc: 3\n", 3, "not YAML"),
        (b"a: 1\n\tb: 2\n", 2, "not YAML"),
        (b"a: 'unfinished\n", 2, "not YAML"),
        (b"a: 0x_\n", 1, "not a value"),
        (b"a: 0b_\n", 1, "not a value"),
    ],
)
def test_what_is_not_plain_data_is_refused_with_its_line(raw: bytes, line: int, part: str) -> None:
    with pytest.raises(InvalidYaml) as caught:
        yamldoc.read(raw)
    assert caught.value.details[0] == line
    assert caught.value.message.startswith(f"line {line}: ")
    assert part in caught.value.message
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"a:\n  - b: !!str 5\n", ("a", 0, "b")),
        (b"a: &x [1]\nb: [*x]\n", ("b", 0)),
        (b"a: {b: 1, b: 2}\n", ("a", "b")),
        (b"a:\n  <<: {d: 1}\n", ("a",)),
        (b"a: {b: .nan}\n", ("a", "b")),
        (b"a: [1, 2\n", ()),
    ],
)
def test_a_refusal_knows_the_path_where_there_is_one(raw: bytes, path: yamldoc.Path) -> None:
    with pytest.raises(InvalidYaml) as caught:
        yamldoc.read(raw)
    assert caught.value.details[1] == path


def test_values_that_are_none_are_listed_and_the_rest_is_read() -> None:
    document = yamldoc.examine(b"a: .nan\nb: [1, 99999999999999999999, 0x_]\nc: 5\n")
    assert document.value == {"a": None, "b": [1, None, None], "c": 5}
    assert [(fault.line, fault.path) for fault in document.faults] == [(1, ("a",)), (2, ("b", 1)), (2, ("b", 2))]


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(InvalidYaml):
        yamldoc.read(b'a: "\\ud800"\n')


def test_an_alias_bomb_costs_nothing() -> None:
    levels = [b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]".encode() for n in range(1, 12)]
    with pytest.raises(InvalidYaml, match="line 2: aliases"):
        yamldoc.read(b"\n".join(levels))


@pytest.mark.parametrize(
    "raw",
    [b"[" * 500_000, b"{a: " * 200_000, b"- " * 500_000 + b"x", b"? " * 100_000],
    ids=["lists", "mappings", "blocks", "keys"],
)
def test_deep_nesting_is_refused_early(raw: bytes) -> None:
    with pytest.raises(InvalidYaml):
        yamldoc.read(raw)


def test_sixty_four_levels_are_accepted_and_one_more_is_not() -> None:
    yamldoc.read(b"[" * 64 + b"]" * 64)
    with pytest.raises(InvalidYaml, match="64 levels"):
        yamldoc.read(b"[" * 65 + b"]" * 65)


def test_ten_megabytes_are_refused_unread() -> None:
    with pytest.raises(InvalidYaml, match=r"larger than 1,048,576 bytes"):
        yamldoc.read(b"a: b\n" * 2_000_000)


def test_the_parser_in_python_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = b"a: [1, two, {b: 2027-01-01}]\nc: |\n  text\n"
    fast = yamldoc.read(raw)
    monkeypatch.setattr(yamldoc, "_LOADER", yaml.SafeLoader)
    assert yamldoc.read(raw) == fast


def refusal_of(raw: bytes) -> str:
    try:
        yamldoc.read(raw)
    except InvalidYaml as error:
        return str(error)
    return ""


@given(st.binary(max_size=300) | st.text(alphabet="[]{}:,-&*!|>'\"#%@ \n\tab01~?<=._", max_size=80).map(str.encode))
def test_any_bytes_are_read_or_refused_in_one_line(raw: bytes) -> None:
    assert "\n" not in refusal_of(raw)


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text("abc ü\n:#-'\"", max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", min_size=1, max_size=3), inner),
    max_leaves=12,
)


@given(_PLAIN)
def test_what_was_written_is_what_is_read(value: object) -> None:
    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return isinstance(data, object)

    assert yamldoc.read(yaml.dump(value, Dumper=Dumper, allow_unicode=True).encode()).value == value
