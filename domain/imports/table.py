"""Read a CSV file as a stream of rows with named cells. Detects encoding, delimiter and header.

A problem with the whole file raises ``ImportFileError``. A problem with one row yields a ``BadRow``.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO

from domain.imports.columns import Columns, ImportFileError

CELL_CHARS_MAX = 10_000  # a longer cell means joined files or an unclosed quote
_LINE_CHARS_MAX = 1_000_000
_CHUNK_BYTES = 1 << 20
_SAMPLE_BYTES = 4096
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # xlsx (a zip archive) and xls
_UTF16_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF32_BOMS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # Unicode's category Cc
# "=…", or "+", "-" or "@" before a function call. Not "@home Realty" or "+1 512 555 0100".
_FORMULA = re.compile(r"=|[+\-@][A-Za-z][\w.]*\(")


@dataclass(frozen=True)
class Encoding:
    """``notice`` tells the user that the encoding was guessed."""

    name: str
    notice: str | None = None

    @property
    def label(self) -> str:
        return {"cp1252": "Windows-1252", "utf-16": "UTF-16"}.get(self.name, "UTF-8")


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be imported. ``line`` is its first line, counted from 1."""

    line: int
    problem: str


@dataclass(frozen=True)
class Row:
    """Values per field, in column order, without empty ones."""

    line: int
    cells: Mapping[str, tuple[str, ...]]

    def all(self, name: str) -> tuple[str, ...]:
        return self.cells.get(name, ())

    def first(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)


@dataclass
class Table:
    """A file with a parsed header. Its rows can be read only once. ``unused`` headers match no field."""

    encoding: Encoding
    header: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    unused: tuple[str, ...]
    delimiter: str
    _mark: str
    _header_line: int
    _lines: Iterator[str] = field(repr=False)
    _positions: dict[str, tuple[int, ...]] = field(repr=False)

    def rows(self) -> Iterator[Row | BadRow]:
        """Yield every non-empty row. Raises ``ImportFileError`` if a quote is never closed."""
        reader = csv.reader(self._lines, delimiter=self._mark, strict=True)
        while True:
            line = self._header_line + reader.line_num + 1
            try:
                cells = [cell.strip() for cell in next(reader)]
            except StopIteration:
                return
            except csv.Error as error:
                yield _misquoted(line, self._header_line + reader.line_num, error)
                continue
            if any(cells):
                yield self._row(line, cells)

    def _row(self, line: int, cells: list[str]) -> Row | BadRow:
        if len(cells) != len(self.header):
            problem = f"has {len(cells)} cells where the header has {len(self.header)}"
            return BadRow(line, f"{problem} (separated by {self.delimiter}; quote a value that contains one)")
        for name, value in zip(self.header, cells, strict=True):
            if len(value) > CELL_CHARS_MAX:
                return BadRow(line, f"{name!r} has {len(value):,} characters; the maximum is {CELL_CHARS_MAX:,}")
        found: dict[str, tuple[str, ...]] = {}
        for name, positions in self._positions.items():
            for position in positions:
                if bad := _problem(cells[position]):
                    return BadRow(line, f"{self.header[position]!r} {bad}")
            found[name] = tuple(value for position in positions if (value := _without_apostrophe(cells[position])))
        return Row(line, found)


def open_table(file: BinaryIO, columns: Columns, given: Mapping[str, str]) -> Table:
    """Detect a file's encoding and delimiter, and match its header to fields.

    Args:
        file: seekable, because detecting the encoding reads the whole file.
        given: field → header, from ``--map``. Replaces the known names of the field.

    Raises:
        ImportFileError: the file is empty or not text, or its header cannot be read or lacks a needed column.
    """
    columns.check_mapping(given)
    encoding = _encoding_of(file)
    lines = _text_lines(file, encoding)
    header_line, line = next(((n, line) for n, line in enumerate(lines, start=1) if line.strip()), (0, ""))
    if not line:
        raise ImportFileError("the file has only blank lines: expected a header line")
    headers: dict[str, tuple[str, ...]] = {}
    for mark in _DELIMITERS:
        try:
            headers[mark] = tuple(cell.strip() for cell in next(csv.reader([line], delimiter=mark, strict=True)))
        except csv.Error:  # another delimiter may fit
            continue
    if not headers:
        raise ImportFileError(f"the header (line {header_line}) cannot be read: a quote in it is never closed")
    # On a tie, the first delimiter wins (comma).
    mark, header = max(headers.items(), key=lambda item: (columns.recognised(item[1], given), len(item[1])))
    separator = f"separated by {_DELIMITERS[mark]}" if len(header) > 1 else "no comma, semicolon or tab separates it"
    positions = columns.positions(header, given, separator)
    used = {index for found in positions.values() for index in found}
    return Table(
        encoding=encoding,
        header=header,
        columns={name: tuple(header[index] for index in found) for name, found in positions.items()},
        unused=tuple(name for index, name in enumerate(header) if index not in used and name),
        delimiter=_DELIMITERS[mark],
        _mark=mark,
        _header_line=header_line,
        _lines=lines,
        _positions=positions,
    )


def _encoding_of(file: BinaryIO) -> Encoding:
    """Detect UTF-8 (with or without BOM) or UTF-16 (with BOM), else assume Windows-1252. Rewinds the file."""
    sample = file.read(_SAMPLE_BYTES)
    if not sample:
        raise ImportFileError("the file is empty: expected a header line and a row per company")
    if sample.startswith(_WORKBOOKS):
        raise ImportFileError("the file is a spreadsheet workbook, not CSV: save it as CSV (UTF-8) and import that")
    if sample.startswith(_UTF32_BOMS):
        raise ImportFileError("the file is UTF-32: save it as UTF-8")
    file.seek(0)
    if sample.startswith(_UTF16_BOMS):
        return Encoding("utf-16")
    if sample.count(0) > len(sample) // 10:
        raise ImportFileError("the file contains NUL bytes (binary, or UTF-16 without BOM): save it as UTF-8")
    try:
        for _ in codecs.iterdecode(iter(partial(file.read, _CHUNK_BYTES), b""), "utf-8"):
            pass
    except UnicodeDecodeError as error:
        if sample.startswith(codecs.BOM_UTF8):
            raise ImportFileError("the file starts as UTF-8 but contains another encoding: save it again") from error
        return Encoding("cp1252", "the file is not UTF-8: read as Windows-1252; check names with accents")
    finally:
        file.seek(0)
    return Encoding("utf-8-sig")


def _text_lines(file: BinaryIO, encoding: Encoding) -> Iterator[str]:
    text = io.TextIOWrapper(file, encoding.name, newline="")
    number = 0
    try:
        while line := text.readline(_LINE_CHARS_MAX + 1):
            number += 1
            if len(line) > _LINE_CHARS_MAX:
                raise ImportFileError(f"line {number} is longer than {_LINE_CHARS_MAX:,} characters: not a CSV file")
            yield line
    except UnicodeDecodeError as error:
        number += 1 + error.object[: error.start].count(b"\n")
        raise ImportFileError(
            f"line {number} has a byte that is not valid {encoding.label}: save the file as UTF-8"
        ) from error


def _misquoted(line: int, last_line: int, error: csv.Error) -> BadRow:
    if "unexpected end of data" in str(error):
        raise ImportFileError(f"line {line}: a quote is opened and never closed: close it, or double a literal quote")
    if "field limit" in str(error):
        limit = csv.field_size_limit()
        raise ImportFileError(f"line {line}: a cell is longer than {limit:,} characters; is a quote never closed?")
    where = f" (noticed in line {last_line})" if last_line > line else ""
    return BadRow(line, f"its quotes do not match{where}: double a quote inside a quoted value")


def _problem(value: str) -> str | None:
    if _CONTROL.search(value):
        return "has a control character or a line break; expected one line of text"
    if _FORMULA.match(value):
        return f"has a formula ({value[:30]!r}); expected its value: paste values only, and save again"
    return None


def _without_apostrophe(value: str) -> str:
    """Remove the apostrophe that our own export puts before a formula."""
    is_escaped = value.startswith("'") and value[1:].lstrip().startswith(("=", "+", "-", "@"))
    return value[1:].strip() if is_escaped else value
