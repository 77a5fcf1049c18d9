"""JSON in and out: the limits, the canonical form, the digest."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops import codec
from wedsync_ops.codec import MAX_BYTES, MAX_DEPTH
from wedsync_ops.errors import InvalidJson

LARGEST = 2**63 - 1
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-LARGEST - 1, LARGEST)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types (1, 1.0 and True are equal in Python)."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def refused(text: str | bytes) -> str:
    with pytest.raises(InvalidJson) as caught:
        codec.loads(text, "the config")
    message = str(caught.value)
    assert message.startswith("the config ")
    assert "\n" not in message
    assert len(message) < 300
    return message


class TestRoundTrip:
    @given(VALUES)
    def test_every_value_comes_back_as_it_was(self, value: Any) -> None:
        assert same(codec.loads(codec.dumps(value)), value)
        assert same(codec.loads(codec.dumps(value, indent=True)), value)
        assert same(codec.loads(codec.canonical(value)), value)
        assert same(codec.loads(codec.dumps_checked(value, "it")), value)
        assert same(codec.loads(json.dumps(value)), value)

    @given(st.dictionaries(TEXTS, VALUES, max_size=6))
    def test_equal_objects_have_one_canonical_form_and_digest(self, value: dict[str, Any]) -> None:
        turned = dict(reversed(value.items()))
        assert codec.canonical(turned) == codec.canonical(value)
        assert codec.digest(turned) == codec.digest(value)
        assert len(codec.digest(value)) == 32

    def test_different_values_have_different_digests(self) -> None:
        values = [None, {}, [], 0, 0.0, False, "", "0", {"a": 1}, {"a": "1"}, {"a": 1.0}, {"b": 1}, [1], [[1]]]
        assert len({codec.digest(value) for value in values}) == len(values)

    def test_order_is_kept_unless_canonical(self) -> None:
        assert codec.dumps({"b": 1, "a": [1, 2]}) == b'{"b":1,"a":[1,2]}'
        assert codec.canonical({"b": {"d": 1, "c": 2}, "a": 1}) == b'{"a":1,"b":{"c":2,"d":1}}'
        assert codec.dumps({"ü": "💍"}) == '{"ü":"💍"}'.encode()

    @given(st.text(max_size=60) | st.binary(max_size=60))
    def test_any_input_is_a_value_or_refused(self, text: str | bytes) -> None:
        try:
            value = codec.loads(text, "it")
        except InvalidJson as error:
            value = str(error)
            assert value.startswith("it ")
            assert "\n" not in value
        codec.check(value, "it")


class TestLoads:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "{",
            "nul",
            "{'a': 1}",
            '{"a": 1,}',
            "{a: 1}",
            "1 2",
            "[1] // comment",
            "NaN",
            "[Infinity]",
            "-Infinity",
            "[1e999]",
            "[-1e400]",
            '"\n"',
            '"\x00"',
            '"\\ud800"',
            '"\ud800"',
            b'"\xed\xa0\x80"',
            b'"\xff"',
            b"\x00",
            "\ufeff{}x",
            "[01]",
            "+1",
            '{"a":"\\u0000"}',
            '{"\\u0000":1}',
        ],
    )
    def test_refuses_what_is_not_acceptable(self, text: str | bytes) -> None:
        refused(text)

    def test_an_escaped_backslash_is_no_nul(self) -> None:
        assert codec.loads('"\\\\u0000"') == "\\u0000"

    @pytest.mark.parametrize("number", [LARGEST, -LARGEST - 1, 0, -1, 10**18])
    def test_integers_of_64_bits_are_exact(self, number: int) -> None:
        assert codec.loads(f'{{"n":[{number}]}}') == {"n": [number]}

    @pytest.mark.parametrize(
        "digits",
        [*map(str, (LARGEST + 1, -LARGEST - 2, 2**64 - 1, 2**64, 10**30)), "-1" + "0" * 400, "1" + "0" * 5000],
        ids=len,
    )
    def test_integers_beyond_64_bits_are_refused(self, digits: str) -> None:
        message = refused(f'{{"n":[{digits}]}}')
        assert "beyond 64 bits" in message or "infinity" in message

    def test_long_digits_elsewhere_are_fine(self) -> None:
        value = codec.loads('{"iban":"12345678901234567890123456","x":1.2345678901234567890123,"y":1e0}')
        assert value == {"iban": "12345678901234567890123456", "x": 1.2345678901234568, "y": 1.0}

    @pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
    def test_depth(self, opening: str, closing: str) -> None:
        levels = MAX_DEPTH // (opening.count("[") + opening.count("{"))
        fitting = opening * levels + "1" + closing * levels
        codec.loads(fitting)
        assert "nested more than 64 levels deep" in refused(f"[{fitting}]")

    @pytest.mark.parametrize("text", ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 50_000])
    def test_a_bottomless_pit_is_refused(self, text: str) -> None:
        refused(text)

    def test_width_is_not_depth(self) -> None:
        text = json.dumps([[{"a": []}]] * 1000)
        assert codec.loads(text) == json.loads(text)

    def test_size_is_counted_in_bytes(self) -> None:
        fitting = '"' + "x" * (MAX_BYTES - 2) + '"'
        assert len(codec.loads(fitting)) == MAX_BYTES - 2
        assert "1,048,577 bytes" in refused(fitting[:-1] + 'x"')
        assert "at most 1,048,576 are accepted" in refused('"' + "ü" * (MAX_BYTES // 2) + '"')

    def test_objects_can_be_asked_for(self) -> None:
        assert codec.load_object('{"a":1}', "it") == {"a": 1}
        kinds = {
            "[]": "a list",
            "1": "a number",
            "1.5": "a number",
            '"x"': "a string",
            "true": "a boolean",
            "null": "null",
        }
        for text, kind in kinds.items():
            with pytest.raises(InvalidJson, match=f"it must be a JSON object, not {kind}"):
                codec.load_object(text, "it")
        assert codec.kind_of({}) == "an object"


class TestCheck:
    @pytest.mark.parametrize(
        ("value", "word"),
        [
            (math.nan, "nan"),
            ({"a": [math.inf]}, "inf"),
            (LARGEST + 1, "beyond 64 bits"),
            (-LARGEST - 2, "beyond 64 bits"),
            ("a\x00b", "NUL"),
            ({"a\x00": 1}, "NUL"),
            (["\ud800"], "lone surrogate"),
            ({"\udfff": 1}, "lone surrogate"),
            ({1: 2}, "no string"),
            ({"a": {1, 2}}, "set"),
            (b"x", "bytes"),
            (object(), "object"),
        ],
    )
    def test_refuses_what_code_built_wrongly(self, value: Any, word: str) -> None:
        for checked in (codec.check, codec.dumps_checked):
            with pytest.raises(InvalidJson, match=word) as caught:
                checked(value, "the result")
            assert str(caught.value).startswith("the result ")
            assert "\n" not in str(caught.value)

    def test_a_value_that_holds_itself_is_refused(self) -> None:
        loop: list[Any] = []
        loop.append(loop)
        with pytest.raises(InvalidJson, match="nested"):
            codec.dumps_checked(loop, "it")

    def test_size(self) -> None:
        with pytest.raises(InvalidJson, match="1,048,577 bytes"):
            codec.dumps_checked("x" * (MAX_BYTES - 1), "it")
        assert len(codec.dumps_checked("x" * (MAX_BYTES - 2), "it")) == MAX_BYTES

    def test_tuples_are_lists(self) -> None:
        assert codec.dumps_checked({"a": (1, 2)}, "it") == b'{"a":[1,2]}'

    @pytest.mark.parametrize("value", [{1: 2}, {1, 2}, b"x", "\ud800", 2**70])
    def test_dumps_refuses_too(self, value: Any) -> None:
        for write in (codec.dumps, codec.canonical):
            with pytest.raises(InvalidJson):
                write(value)


class TestGiven:
    """What people write: a key that stands twice is a mistake, of which one half would be lost without a word."""

    @pytest.mark.parametrize(
        ("text", "key"),
        [
            ('{"a": 1, "a": 1}', "a"),
            ('{"a":1,"b":{"c":[{"d":1,"d":2}]}}', "d"),
            ('{"a" : "x:y", "a"\t: "x"}', "a"),
            ('{"a":1,"\\u0061":2}', "a"),
            ('{"a":{"x":"::"},"a":{"y":"\\u003a\\u003a"}}', "a"),
            ('{"n": 1e300, "n": 9223372036854775807}', "n"),
            ('{"' + "k" * 500 + '":1,"' + "k" * 500 + '":1}', "k" * 50),
        ],
    )
    def test_a_key_that_stands_twice_is_refused_by_name(self, text: str, key: str) -> None:
        with pytest.raises(InvalidJson) as caught:
            codec.given_object(text, "the config")
        message = str(caught.value)
        assert message.startswith(f"the config has the key '{key}")
        assert " twice " in message
        assert len(message) < 300

    @pytest.mark.parametrize(
        "text",
        [
            '{"a": "b:c", "d": {"a": "\\":"}, "e": [{"a": 1}, {"a": 1}]}',
            '{"a": "\\u003a", "b": "\\\\u003a", "c": "\\u0022:"}',
            '{"a": 1e2, "b": 10000000000, "": ""}',
        ],
    )
    def test_what_only_looks_like_it_is_not(self, text: str) -> None:
        assert codec.given_object(text, "the config") == json.loads(text)

    @given(st.dictionaries(TEXTS, VALUES, max_size=6), st.booleans())
    def test_no_object_is_refused_in_any_way_of_writing_it(self, value: dict[str, Any], ascii_only: bool) -> None:
        assert same(codec.given_object(json.dumps(value, ensure_ascii=ascii_only), "it"), value)

    @given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4), st.booleans(), st.data())
    def test_every_key_that_stands_twice_is_found(
        self, value: dict[str, Any], ascii_only: bool, data: st.DataObject
    ) -> None:
        key = data.draw(st.sampled_from(sorted(value)))
        again = json.dumps({key: data.draw(VALUES)}, ensure_ascii=ascii_only)
        text = json.dumps(value, ensure_ascii=ascii_only)[:-1] + "," + again[1:]
        with pytest.raises(InvalidJson, match="twice"):
            codec.given_object(text, "it")
