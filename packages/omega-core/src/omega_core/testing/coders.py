"""Checks of coders (`omega_core.contracts.Coder`)."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise, product

import numpy as np

from omega_core.coding.tables import Integers, Symbols, Tables, cumulative_counts
from omega_core.contracts import implements
from omega_core.contracts.coder import Coder
from omega_core.errors import CoderError
from omega_core.testing import common
from omega_core.testing.checking import Checks, Subject, expect, need, raises

_MAX_TAIL = 64  # maximum number of bytes at the end of a stream that depend on later symbols


@dataclass(frozen=True, kw_only=True)
class CoderSubject(Subject):
    """A coder to check.

    largest: the size of the largest alphabet to check with.
    """

    kind: str = "coder"
    largest: int = 4096

    def make(self) -> Coder:
        """Return a new coder."""
        return self.made_with()


@dataclass(frozen=True)
class Case:
    """Flat symbols with their tables, and the numbers of symbols in some of their prefixes."""

    name: str
    symbols: Symbols
    tables: Tables
    ends: list[int]


def cases(subject: CoderSubject) -> Iterator[Case]:
    """Yield cases that are easy and cases that are hard for coders."""
    random = np.random.default_rng(1)
    even, skewed = np.full((1, 16), 1.0), np.array([[1e6, *[1.0] * 15]])
    yield _case("no symbols", even, np.zeros(0, np.int64))
    yield _case("one symbol", even, np.array([7]))
    yield _case("equally probable symbols", even, random.integers(0, 16, 400))
    yield _case("two symbols", np.array([[0.9, 0.1]]), (random.random(400) < 0.1).astype(np.int64))
    yield _case("a large alphabet", np.ones((1, subject.largest)), random.integers(0, subject.largest, 300))
    yield _case("only the most probable symbol", skewed, np.zeros(5000, np.int64))
    yield _case("only the least probable symbol", skewed, np.full(300, 15))
    yield _case("only the last symbol, which is the most probable", skewed[:, ::-1].copy(), np.full(2000, 15))
    carrying = np.array([[30000.0, 1.0, 35535.0]])
    yield _case("intervals that carry", carrying, np.array([1] * 40 + [0, 2] * 40 + [2] * 40))
    mixed = random.dirichlet(np.full(32, 0.3), 6)
    drawn = np.concatenate([random.choice(32, 50, p=row) for row in mixed])
    yield _case("a table for each channel", mixed, drawn)
    each = random.dirichlet(np.full(8, 0.5), 12)
    symbols = np.array([random.choice(8, p=row) for row in each])
    yield Case("a table for each symbol", symbols, Tables(cumulative_counts(each), np.arange(12), 8), [4, 8, 12])


def _case(name: str, probabilities: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]", symbols: Symbols) -> Case:
    channels, alphabet = probabilities.shape
    positions = len(symbols) // channels
    rows = np.repeat(np.arange(channels), positions)
    tables = Tables(cumulative_counts(probabilities), rows, alphabet)
    ends = sorted(
        {positions * done for done in range(1, channels + 1)} | ({len(symbols) // 3} if channels == 1 else set())
    )
    return Case(name, symbols, tables, ends)


def _encoded(coder: Coder, subject: CoderSubject) -> Iterator[tuple[Case, bytes, list[int]]]:
    """Yield each case with its stream and the lengths for its ends."""
    for case in cases(subject):
        yield case, *coder.encode(case.symbols, case.tables, case.ends)


checks: Checks[CoderSubject] = Checks(common.checks)


@checks.add
def is_lossless(subject: CoderSubject) -> None:
    """Decoding returns the encoded symbols: none, one, few or many, probable or improbable, in every alphabet."""
    coder = subject.make()
    for case, data, _ in _encoded(coder, subject):
        decoded = coder.decode(data, case.tables)
        expect(isinstance(data, bytes), f"a stream is {type(data).__name__}, not bytes")
        expect(np.array_equal(decoded, case.symbols), f"{case.name}: {_difference(case.symbols, decoded)}")


@checks.add
def the_first_bytes_determine_symbols(subject: CoderSubject) -> None:
    """The first `lengths[i]` bytes decode to the first `ends[i]` symbols, whatever bytes follow."""
    coder = subject.make()
    for case, data, lengths in _encoded(coder, subject):
        expect(len(lengths) == len(case.ends), f"{case.name}: {len(lengths)} lengths for {len(case.ends)} ends")
        for end, length in zip(case.ends, lengths, strict=True):
            for after in (b"", bytes(9), b"\xff" * 9):
                decoded = coder.decoder(data[:length] + after).decode(case.tables.part(0, end))
                what = f"{case.name}, {length} of {len(data)} bytes, for {end} symbols"
                expect(
                    np.array_equal(decoded, case.symbols[:end]), f"{what}: {_difference(case.symbols[:end], decoded)}"
                )


@checks.add
def any_length_decodes_to_right_symbols(subject: CoderSubject) -> None:
    """A stream that is cut off anywhere decodes to correct symbols only: none is guessed."""
    coder = subject.make()
    for case, data, _ in _encoded(coder, subject):
        for length in sorted({*range(0, len(data), max(1, len(data) // 7)), max(0, len(data) - 1)}):
            decoded = coder.decoder(data[:length]).decode(case.tables)
            wanted = case.symbols[: len(decoded)]
            what = f"{case.name}, {length} of {len(data)} bytes"
            expect(np.array_equal(decoded, wanted), f"{what}: {_difference(wanted, decoded)}")


@checks.add
def starts_are_those_of_all_streams(subject: CoderSubject) -> None:
    """The result of `encode_start`, if implemented, begins all streams of these symbols, with the same lengths."""
    coder = subject.make()
    need(implements(coder, Coder, "encode_start"), "encode the start of a stream")
    for case in cases(subject):
        for end, after in product(case.ends, ("the same", "other symbols", "zeros")):
            first, further = case.symbols[:end], case.symbols[end:]
            others = {"the same": further, "other symbols": case.tables.alphabet - 1 - further, "zeros": 0 * further}
            data, lengths = coder.encode(np.concatenate([first, others[after]]), case.tables, case.ends)
            ends = [each for each in case.ends if each <= end]
            start, settled = coder.encode_start(first, case.tables.part(0, end), ends)
            what = f"{case.name}, {end} symbols, followed by {after}"
            expect(data.startswith(start), f"{what}: the stream begins differently")
            known = [length for length in lengths[: len(ends)] if length <= len(start)]
            expect(list(settled) == known, f"{what}: the lengths are {settled}, not {known}")
            if not len(further):
                expect(len(data) - len(start) <= _MAX_TAIL, f"{what}: only {len(start)} of {len(data)} bytes")


@checks.add
def lengths_rise_to_the_end(subject: CoderSubject) -> None:
    """Lengths never decrease, and the last is the length of the stream."""
    coder = subject.make()
    for case, data, lengths in _encoded(coder, subject):
        expect(list(lengths) == sorted(lengths), f"{case.name}: lengths {lengths}")
        expect(lengths[-1] == len(data), f"{case.name}: the last length is {lengths[-1]} of {len(data)} bytes")


@checks.add
def decodes_in_parts(subject: CoderSubject) -> None:
    """A decoder that decodes symbols in several calls returns the same as in one call."""
    coder = subject.make()
    for case, data, _ in _encoded(coder, subject):
        for complete in (True, False):
            decoder = coder.decoder(data, complete=complete)
            parts = [decoder.decode(case.tables.part(start, end)) for start, end in pairwise([0, *case.ends])]
            expect(np.array_equal(np.concatenate(parts), case.symbols), f"{case.name}: the symbols differ")


@checks.add
def a_stream_may_arrive_in_pieces(subject: CoderSubject) -> None:
    """A decoder that is extended piece by piece, and decodes what is left each time, returns all symbols once."""
    coder = subject.make()
    for case, data, _ in _encoded(coder, subject):
        for pieces in (1, 3, 10):
            decoder, decoded = coder.decoder(b""), np.zeros(0, np.int64)
            bounds = [len(data) * piece // pieces for piece in range(pieces + 1)]
            for start, end in pairwise(bounds):
                decoder.extend(data[start:end])
                decoded = np.concatenate([decoded, decoder.decode(case.tables.part(len(decoded)))])
            what = f"{case.name}, in {pieces} pieces"
            expect(np.array_equal(decoded, case.symbols), f"{what}: {_difference(case.symbols, decoded)}")


@checks.add
def takes_integers_of_any_type(subject: CoderSubject) -> None:
    """Symbols and rows may be integers of any type: the bytes are the same, and the arrays are not changed."""
    coder = subject.make()
    case = _case("", np.full((2, 16), 1.0), np.random.default_rng(2).integers(0, 16, 60))
    wanted = coder.encode(case.symbols, case.tables, case.ends)
    for dtype in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.uint64):
        given: Symbols = case.symbols.astype(dtype)
        expect(coder.encode(given, case.tables, case.ends) == wanted, f"the bytes differ for {np.dtype(dtype)}")
        expect(np.array_equal(given, case.symbols), "encode changed the array of symbols")
    for dtype in (np.uint16, np.int32):
        narrow = replace(case.tables, rows=case.tables.rows.astype(dtype))
        expect(coder.encode(case.symbols, narrow, case.ends) == wanted, f"the bytes differ for rows of {dtype}")
        expect(np.array_equal(coder.decode(wanted[0], narrow), case.symbols), f"wrong symbols for rows of {dtype}")


@checks.add
def gives_whole_numbers_back(subject: CoderSubject) -> None:
    """Decoded symbols are flat and int64."""
    coder = subject.make()
    case = _case("", np.full((2, 16), 1.0), np.random.default_rng(2).integers(0, 16, 60))
    decoded = coder.decode(coder.encode(case.symbols, case.tables, case.ends)[0], case.tables)
    expect(decoded.dtype == np.int64 and decoded.shape == (60,), f"they are {decoded.dtype} {decoded.shape}")


@checks.add
def refuses_what_does_not_fit(subject: CoderSubject) -> None:
    """`encode` raises CoderError for symbols outside the alphabet, not integers, not flat, or of a wrong number."""
    coder = subject.make()
    case = _case("", np.full((1, 16), 1.0), np.arange(16))
    wrong = {
        "from 1 to 16": case.symbols + 1,
        "from -1 to 14": case.symbols - 1,
        "with fractions": case.symbols + 0.5,
        "with a NaN": np.where(case.symbols == 3, np.nan, case.symbols),
        "that are floating-point": case.symbols.astype(np.float32),
        "that are bool": case.symbols == 1,
        "in two dimensions": case.symbols.reshape(4, 4),
    }
    for which, symbols in wrong.items():
        encode = partial(coder.encode, symbols, case.tables, [16])
        expect(raises(CoderError, encode), f"symbols {which} were encoded in an alphabet of 16")
    large = _case("", np.full((1, 256), 1.0), np.arange(256))
    negative = large.symbols.astype(np.int8)
    encode = partial(coder.encode, negative, large.tables, [256])
    expect(raises(CoderError, encode), "negative symbols of 8 bits were encoded in an alphabet of 256")
    expect(
        raises(CoderError, lambda: coder.encode(case.symbols[:9], case.tables, [9])), "9 symbols were encoded for 16"
    )


@checks.add
def tables_without_probabilities_are_named(subject: CoderSubject) -> None:
    """With tables without probabilities, it codes symbols of 32 bits without loss, or raises CoderError."""
    coder = subject.make()
    symbols = np.array([0, 1, (1 << 32) - 1, 12345])
    tables = Tables(None, np.zeros(4, np.int64), 1 << 32)
    try:
        data, _ = coder.encode(symbols, tables, [2, 4])
    except CoderError:
        return
    expect(np.array_equal(coder.decode(data, tables), symbols), "it decoded other symbols than it encoded")


@checks.add
def damage_is_named(subject: CoderSubject) -> None:
    """Damaged or shortened bytes decode to symbols of the alphabet or raise CoderError, no other error."""
    coder, random = subject.make(), np.random.default_rng(3)
    for case, data, _ in _encoded(coder, subject):
        streams = [data[:cut] for cut in range(0, len(data), max(1, len(data) // 9))]
        streams += [random.bytes(len(data)) for _ in range(9)] + [b"\xff" * len(data)]
        for stream in streams:
            try:
                decoded = coder.decode(stream, case.tables)
            except CoderError:
                continue
            inside = (
                decoded.shape == case.symbols.shape and (decoded >= 0).all() and (decoded < case.tables.alphabet).all()
            )
            expect(inside, f"{case.name}: damaged bytes decoded to too few or invalid symbols")


@checks.add
def bytes_are_the_same_in_every_process(subject: CoderSubject) -> None:
    """Another process encodes to the same bytes, whatever its hash seed."""
    found = subject.found()
    module, _, attribute = found.component.target.partition(":")
    program = (
        f"import {module}, omega_core.testing.coders as kit; "
        f"print(kit.digest({module}.{attribute}(**{dict(subject.options)!r}), {subject.largest}))"
    )
    seen = {digest(subject.make(), subject.largest)}
    for seed in ("1", "2"):
        command = [sys.executable, "-c", program]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603
        expect(done.returncode == 0, f"another process failed: {done.stderr.strip().splitlines()[-1:]}")
        seen.add(done.stdout.split()[-1])  # the coder may have printed something before
    expect(len(seen) == 1, "the bytes differ")


def digest(coder: Coder, largest: int = 4096) -> str:
    """Return the SHA-256 of the streams of all cases."""
    digest = hashlib.sha256()
    for _, data, lengths in _encoded(coder, CoderSubject(name="", largest=largest)):
        digest.update(data + repr(list(lengths)).encode())
    return digest.hexdigest()


def _difference(wanted: Symbols, decoded: Integers) -> str:
    if len(wanted) != len(decoded):
        return f"{len(decoded)} symbols were decoded instead of {len(wanted)}"
    wrong = np.flatnonzero(wanted != decoded)
    if not len(wrong):
        return "all symbols are the same"
    return f"symbol {wrong[0]} is {decoded[wrong[0]]} instead of {wanted[wrong[0]]}; {len(wrong) - 1} others differ"
