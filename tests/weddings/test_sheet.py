"""CSV, whatever it holds: row by row, a wrong row an error of its own, in bounded memory."""

import io
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.errors import InvalidInput, WedsyncError
from wedsync_ops.weddings.sheet import LONGEST, MOST_LINES, Row, read_rows

HEADER = b"client_id,couple_name,email,wedding_date,location,supplier_id,vendor_type\n"


def line(client_id: str = "c1", name: str = "Ann & Bo", place: str = "Boston") -> bytes:
    return f"{client_id},{name},a@example.com,2027-06-19,{place},s1,photographer\n".encode()


def read(content: bytes, *, ignore_unknown: bool = False) -> list[Row]:
    return list(read_rows(io.BytesIO(content), ignore_unknown=ignore_unknown))


def told(content: bytes) -> list[tuple[int, int, str]]:
    """Row, line, and the client's id and the name, or the error."""
    found = []
    for row in read(content):
        record = row.record
        said = str(record) if isinstance(record, WedsyncError) else f"{record['client_id']}|{record['couple_name']}"
        found.append((row.number, row.line, said))
    return found


def test_cells_are_named_by_the_header_in_any_order() -> None:
    content = b'vendor_type, Client_ID ,couple_name,EMAIL,wedding_date,location,supplier_id\nvenue,c1,"A, B",e,d,,s\n'
    assert read(content) == [
        Row(
            2,
            2,
            {
                "vendor_type": "venue",
                "client_id": "c1",
                "couple_name": "A, B",
                "email": "e",
                "wedding_date": "d",
                "location": "",
                "supplier_id": "s",
            },
        )
    ]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_byte_order_mark_and_line_ends_do_not_matter(mark: bytes, end: bytes) -> None:
    content = mark + (HEADER + line("c1") + line("c2")).replace(b"\n", end)
    assert told(content) == [(2, 2, "c1|Ann & Bo"), (3, 3, "c2|Ann & Bo")]
    assert told(content.removesuffix(end)) == told(content)


def test_blank_rows_are_left_out_and_counted() -> None:
    assert told(HEADER + b"\n,,,,,,\n,,,\n" + line()) == [(5, 5, "c1|Ann & Bo")]


def test_quotes_hold_commas_quotes_and_line_ends() -> None:
    content = HEADER + line("c1", '"A ""x"" B\nand, C"') + line("c2", '"O""Neil"') + line("c3", "5'10\" tall")
    assert told(content) == [(2, 2, 'c1|A "x" B\nand, C'), (3, 4, 'c2|O"Neil'), (4, 5, "c3|5'10\" tall")]


@pytest.mark.parametrize(
    "after",
    [
        [line("c2"), line("c3")],
        [line("c2", place='"Austin, TX"'), line("c3")],
        [line("c2"), line("c3", '"Quoted, too"'), *(line(f"d{n}") for n in range(3 * MOST_LINES))],
    ],
)
def test_a_quote_that_is_not_closed_costs_its_own_row_only(after: list[bytes]) -> None:
    found = told(HEADER + line("c0") + line("c1", '"Ann & Bo') + b"".join(after))
    assert found[1][:2] == (3, 3)
    assert "quote" in found[1][2] or "unexpected end" in found[1][2]
    assert [said.split("|")[0] for _, _, said in found if "|" in said] == [
        "c0",
        *(row.split(b",")[0].decode() for row in after),
    ]


def test_two_quotes_that_are_not_closed_do_not_make_one_field() -> None:
    found = told(HEADER + line("c1", '"Ann') + line("c2") + line("c3", 'Bo"') + line("c4"))
    assert [said.split("|")[0] for _, _, said in found if "|" in said] == ["c2", "c3", "c4"]
    assert found[0] == (2, 2, "a quote is opened and not closed as it should be")


def test_what_is_not_utf_8_costs_its_own_row_only() -> None:
    found = told(HEADER + line("c1", "Zoë").decode().encode("latin-1") + line("c2", "Zoë"))
    assert found == [
        (2, 2, "it is not UTF-8: byte 0xeb after 'c1,Zo' (save the file as UTF-8)"),
        (3, 3, "c2|Zoë"),
    ]


def test_a_nul_costs_its_own_row_only() -> None:
    assert told(HEADER + line("c\x00") + line("c2")) == [(2, 2, "it holds a NUL byte"), (3, 3, "c2|Ann & Bo")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"c1,Ann\n", "it has 2 fields, and the header 7"),
        (
            b"c1,Ann, Bo,a@example.com,2027-06-19,Boston, MA,s1,venue\n",
            "it has 9 fields, and the header 7 (a field that holds a comma must stand in quotes)",
        ),
        (b'c1,"Ann"x,e,d,l,s,v\n', "it is not CSV: ',' expected after '\"'"),
        (b"c1,Ann\rBo,e,d,l,s,v\n", None),
    ],
)
def test_a_row_of_another_form_costs_itself_only(row: bytes, message: str | None) -> None:
    found = told(HEADER + row + line("c2"))
    assert found[1] == (3, 3, "c2|Ann & Bo")
    if message is not None:
        assert found[0] == (2, 2, message)


class Endless(io.RawIOBase):
    """A header, a row of 100 MB, and a good row, made as they are read."""

    def __init__(self, opening: bytes) -> None:
        self._parts = self._made(opening)
        self._left = b""

    @staticmethod
    def _made(opening: bytes) -> Iterator[bytes]:
        yield HEADER + opening
        for _ in range(100):
            yield b"x" * 1_000_000
        yield b"\n" + line("c2")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        while not self._left:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._left = part
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


@pytest.mark.parametrize("opening", [b"c1,", b'c1,"'])
def test_a_line_of_100_mb_is_refused_in_little_memory(opening: bytes) -> None:
    tracemalloc.start()
    try:
        stream: Any = Endless(opening)
        rows = list(read_rows(io.BufferedReader(stream)))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(rows[0].record) == f"it is longer than {LONGEST:,} bytes"
    assert isinstance(rows[1].record, dict)
    assert (rows[1].number, rows[1].line) == (3, 3)
    assert most < 8 * 1024 * 1024


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (HEADER.replace(b",email", b""), "the header lacks email"),
        (HEADER.replace(b"email", b"e-mail"), "there is no column 'e-mail'; did you mean 'email'?; it lacks email"),
        (
            HEADER.replace(b"\n", b",shoe size\n"),
            "there is no column 'shoe size' (remove it, or give --ignore-unknown)",
        ),
        (HEADER.replace(b"\n", b",Email\n"), "the header names the column 'email' twice"),
        (HEADER.replace(b",", b";"), "its fields are divided by semicolons (save it with commas)"),
        (HEADER.replace(b",", b"\t"), "its fields are divided by tabs (save it with commas)"),
        ((HEADER + line()).replace(b"\n", b"\r"), "its lines end in a carriage return alone"),
        ((HEADER + line(place='"Chicago, IL"')).replace(b"\n", b"\r"), "its lines end in a carriage return alone"),
        ((HEADER + line()).decode().encode("utf-16"), "the file is in UTF-16 (save it as UTF-8)"),
        ((HEADER + line()).decode().encode("utf-16-le"), "the header cannot be read: it holds a NUL byte"),
        (b"PK\x03\x04\x14\x00", "the file is a spreadsheet or an archive (export it as CSV in UTF-8)"),
        (b"\x1f\x8b\x08\x00", "the file is compressed"),
        (b"\xe9" + HEADER, "the header cannot be read: it is not UTF-8"),
        (b'"client_id,couple_name\n', "the header cannot be read"),
        (b"x" * 2 * LONGEST, "the header cannot be read: it is longer than"),
        (line(), "there is no column 'c1'"),
        (b"\n" + HEADER, "the header lacks"),
    ],
)
def test_a_file_that_is_no_such_sheet_says_why(content: bytes, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(content)
    assert message in str(caught.value)


def test_a_header_alone_has_no_rows() -> None:
    assert read(HEADER) == []


def test_unknown_columns_can_be_overlooked() -> None:
    content = HEADER.replace(b"\n", b",shoe size,\n") + line().replace(b"\n", b",42,\n")
    (row,) = read(content, ignore_unknown=True)
    assert isinstance(row.record, dict)
    assert "shoe size" not in row.record
    assert row.record["client_id"] == "c1"


@given(st.binary(max_size=400))
def test_whatever_follows_the_header_good_rows_before_it_are_kept(noise: bytes) -> None:
    rows = read(HEADER + line("first") + noise)
    assert isinstance(rows[0].record, dict)
    assert rows[0].record["client_id"] == "first"
    assert [row.number for row in rows] == sorted({row.number for row in rows})


@given(st.text(alphabet='ab",\n é', max_size=40), st.text(alphabet='ab",\n', max_size=40))
def test_what_a_spreadsheet_writes_is_read_back(name: str, place: str) -> None:
    import csv

    written = io.StringIO()
    csv.writer(written).writerow(["c1", name, "e", "d", place, "s", "v"])
    content = HEADER + written.getvalue().encode() + line("c2")
    if all("\n" not in text.strip() or text.count(",") < 6 for text in (name, place)):
        first, second = read(content)
        assert isinstance(first.record, dict)
        assert (first.record["couple_name"], first.record["location"]) == (name.strip(), place.strip())
        assert isinstance(second.record, dict)
