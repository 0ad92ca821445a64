"""From the bytes of a delimited file to rows of named cells, in a stream: encoding, delimiter, header, quotes, line numbers.

What is wrong with the file as a whole is an ``ImportFileError``; what is wrong with one row is a ``BadRow`` with its line. What
the columns mean is in ``columns.py`` and ``rows.py``.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from domain.imports.columns import Columns

CELL_CHARS_MAX = 10_000  # a longer one is two files run together, or a quote that was not closed
_LINE_CHARS_MAX = 1_000_000
_SAMPLE_BYTES = 4096
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # xlsx (a zip archive) and xls
_UTF16_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF32_BOMS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # Unicode's category Cc
# A formula: "=…", or "+", "-" or "@" before a function call. "@home Realty" and "+1 512 555 0100" are values.
_FORMULA = re.compile(r"=|[+\-@][A-Za-z][\w.]*\(")


class ImportFileError(ValueError):
    """The file cannot be imported at all; the message says what was found, what was expected and what to do."""


@dataclass(frozen=True)
class Encoding:
    """How the bytes are to be read; ``notice`` says a guess aloud."""

    name: str
    notice: str | None = None

    @property
    def called(self) -> str:
        """Its name for people."""
        return {"cp1252": "Windows-1252", "utf-16": "UTF-16"}.get(self.name, "UTF-8")


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be imported. ``line`` is where it begins in the file (the first line is 1)."""

    line: int
    problem: str


@dataclass(frozen=True)
class Row:
    """A row: the cells of each field that a column stands for, in the order of the columns, empty ones left out."""

    line: int
    cells: Mapping[str, tuple[str, ...]]

    def all(self, name: str) -> tuple[str, ...]:
        """Every value given for a field."""
        return self.cells.get(name, ())

    def first(self, name: str) -> str | None:
        """The first value given for a field."""
        return next(iter(self.all(name)), None)


def encoding_of(chunks: Iterable[bytes]) -> Encoding:
    """The encoding of a file, from all of its bytes: UTF-8 with or without BOM, UTF-16 with BOM, else Windows-1252.

    Raises:
        ImportFileError: the file is empty, a spreadsheet workbook, or text in none of these encodings.
    """
    stream = iter(chunks)
    first = next(stream, b"")
    if not first:
        raise ImportFileError("the file is empty: expected a header line and a row per company")
    if first.startswith(_WORKBOOKS):
        raise ImportFileError("the file is a spreadsheet workbook, not CSV: save it as CSV (UTF-8) and import that")
    if first.startswith(_UTF32_BOMS):
        raise ImportFileError("the file is UTF-32: save it as UTF-8")
    if first.startswith(_UTF16_BOMS):
        return Encoding("utf-16")
    if first[:_SAMPLE_BYTES].count(0) > len(first[:_SAMPLE_BYTES]) // 10:
        raise ImportFileError("the file holds NUL bytes (binary data, or UTF-16 without its mark): save it as UTF-8")
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(first)
        for chunk in stream:
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        if first.startswith(codecs.BOM_UTF8):
            raise ImportFileError("the file begins as UTF-8 and goes on in another encoding: save it anew") from error
        return Encoding("cp1252", "the file is not UTF-8: read as Windows-1252; check names with accents")
    return Encoding("utf-8-sig")


def text_lines(chunks: Iterable[bytes], encoding: Encoding) -> Iterator[str]:
    """The lines of a file, each with its line break (LF, CR LF or CR), decoded as they come.

    Raises:
        ImportFileError: bytes that the encoding does not have, or a line of more than a million characters.
    """
    decoder = codecs.getincrementaldecoder(encoding.name)()
    count, rest = 0, ""
    for chunk in _with_end(chunks):
        try:
            text = rest + decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            line = count + 1 + (rest.encode() + error.object[: error.start]).count(b"\n")
            raise ImportFileError(
                f"line {line} holds a byte that {encoding.called} does not have: save the file as UTF-8"
            ) from error
        lines = list(io.StringIO(text, newline=""))
        # The last line may go on in the next chunk, and a CR at its end may be half of a CR LF.
        rest = lines.pop() if chunk and lines and not lines[-1].endswith("\n") else ""
        if len(rest) > _LINE_CHARS_MAX:
            raise ImportFileError(
                f"line {count + len(lines) + 1} is longer than {_LINE_CHARS_MAX:,} characters: no CSV"
            )
        count += len(lines)
        yield from lines


def _with_end(chunks: Iterable[bytes]) -> Iterator[bytes]:
    yield from (chunk for chunk in chunks if chunk)
    yield b""


@dataclass
class Table:
    """A file whose header is understood. Its rows are read once, in a stream.

    Attributes:
        columns: field → the headers that stand for it, in order.
        unused: headers that stand for nothing.
        delimiter: its name, for people.
    """

    header: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    unused: tuple[str, ...]
    delimiter: str
    _mark: str
    _header_line: int
    _lines: Iterator[str] = field(repr=False)
    _places: dict[str, tuple[int, ...]] = field(repr=False)

    def rows(self) -> Iterator[Row | BadRow]:
        """Every row that is not empty, good or bad, in order.

        Raises:
            ImportFileError: a quote that is never closed: what follows it cannot be told apart.
        """
        reader = csv.reader(self._lines, delimiter=self._mark, strict=True)
        while True:
            line = self._header_line + reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield _misquoted(line, self._header_line + reader.line_num, error)
                continue
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield self._row(line, stripped)

    def _row(self, line: int, cells: list[str]) -> Row | BadRow:
        if len(cells) != len(self.header):
            problem = f"has {len(cells)} cells where the header has {len(self.header)}"
            return BadRow(line, f"{problem} (divided by {self.delimiter}; quote a value that holds one)")
        for name, value in zip(self.header, cells, strict=True):
            if len(value) > CELL_CHARS_MAX:
                return BadRow(line, f"{name!r} has {len(value):,} characters; at most {CELL_CHARS_MAX:,} are taken")
        found: dict[str, tuple[str, ...]] = {}
        for name, places in self._places.items():
            values: list[str] = []
            for place in places:
                value, problem = _plain(cells[place])
                if problem:
                    return BadRow(line, f"{self.header[place]!r} {problem}")
                if value:
                    values.append(value)
            found[name] = tuple(values)
        return Row(line, found)


def open_table(lines: Iterator[str], columns: Columns, given: Mapping[str, str]) -> Table:
    """Read the header: find the delimiter by it, and which header stands for which field.

    Args:
        lines: of the file, with their line breaks; what follows the header is left to be read by ``Table.rows``.
        given: field → header, where the person says it; it counts instead of the common names.

    Raises:
        ImportFileError: no header, one that cannot be read, or one that lacks what is needed.
    """
    misnamed = columns.misnamed(given)
    if misnamed:
        raise ImportFileError(misnamed)
    header_line, line = 0, ""
    for line in lines:
        header_line += 1
        if line.strip():
            break
    if not line.strip():
        raise ImportFileError("the file holds nothing but blank lines: expected a header line")
    readings: list[tuple[int, int, str, tuple[str, ...]]] = []
    for mark in _DELIMITERS:
        try:
            cells = next(csv.reader([line], delimiter=mark, strict=True))
        except csv.Error:  # with another delimiter it may still be readable; that none fits is said below
            continue
        header = tuple(cell.strip() for cell in cells)
        readings.append((columns.recognised(header, given), len(header), mark, header))
    if not readings:
        raise ImportFileError(f"the header (line {header_line}) cannot be read: a quote in it is never closed")
    _, _, mark, header = max(readings, key=lambda reading: reading[:2])  # the first of equals: comma
    places = columns.places(header, given)
    complaint = columns.complaint(header, places, given)
    if complaint:
        found_with = (
            f" (divided by {_DELIMITERS[mark]})" if len(header) > 1 else " (no comma, semicolon or tab divides it)"
        )
        raise ImportFileError(f"the header{found_with} {complaint}")
    used = {place for found in places.values() for place in found}
    return Table(
        header=header,
        columns={name: tuple(header[place] for place in found) for name, found in places.items()},
        unused=tuple(name for place, name in enumerate(header) if place not in used and name),
        delimiter=_DELIMITERS[mark],
        _mark=mark,
        _header_line=header_line,
        _lines=lines,
        _places=places,
    )


def _misquoted(line: int, last_line: int, error: csv.Error) -> BadRow:
    """A row whose quotes do not add up; an error where no row after it can be told apart."""
    if "unexpected end of data" in str(error):
        raise ImportFileError(
            f"line {line}: a quote is opened and never closed: close it, or double a quote that is meant"
        )
    if "field limit" in str(error):
        limit = csv.field_size_limit()
        raise ImportFileError(
            f"line {line}: a cell is longer than {limit:,} characters; perhaps a quote is opened there and never closed"
        )
    where = f" (noticed in line {last_line})" if last_line > line else ""
    return BadRow(line, f"its quotes do not add up{where}: double a quote inside a quoted value")


def _plain(value: str) -> tuple[str, str]:
    """A cell's value, and what is wrong with it (empty when nothing is)."""
    if _CONTROL.search(value):
        return value, "holds a control character or a line break; expected one line of text"
    if value.startswith("'") and value[1:].lstrip().startswith(("=", "+", "-", "@")):
        return value[1:].strip(), ""  # escaped for spreadsheets, as our own exports do: it is text
    if _FORMULA.match(value):
        return value, f"holds a formula ({value[:30]!r}); expected its value: paste values only, and save again"
    return value, ""
