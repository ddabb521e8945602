"""Lines and messages: whatever comes in, in whatever pieces."""

from __future__ import annotations

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from terramend.backend import protocol

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


@given(st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b" "))), st.data())
def test_lines_do_not_depend_on_how_the_stream_is_cut(lines, data):
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    reader, found = protocol.Lines(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += reader.feed(stream[start:end])
    assert found == lines


@pytest.mark.parametrize("piece", [1 << 16, 1 << 20, 3_000_000])
def test_a_line_too_long_is_dropped_alone_and_in_bounded_memory(piece):
    longest = b"x" * (protocol.LIMIT - 1)
    stream = (
        b"before\n" + longest + b"\n" + longest + b"x\nafter\n" + b"y" * (2 * protocol.LIMIT) + b"\nlast\n"
    )
    reader, found = protocol.Lines(), []
    for start in range(0, len(stream), piece):
        found += reader.feed(stream[start : start + piece])
        assert len(reader._buffer) <= protocol.LIMIT
    assert found == [b"before", longest, None, b"after", None, b"last"]


@given(JSON)
def test_what_is_encoded_decodes_to_the_same(value):
    line = protocol.encode(protocol.call("a", "fill", {"request": value}))
    assert line.endswith(b"\n") and line.count(b"\n") == 1 and line.isascii()
    assert protocol.decode(line[:-1]) == {
        "jsonrpc": "2.0", "id": "a", "method": "fill", "params": {"request": value},
    }  # fmt: skip


def test_nan_and_infinity_become_null():
    value = {"rmse": math.nan, "list": [1.5, -math.inf, (math.inf,)], "text": "NaN"}
    line = protocol.encode(protocol.result(1, value))
    assert json.loads(line)["result"] == {"rmse": None, "list": [1.5, None, [None]], "text": "NaN"}


def test_a_message_longer_than_a_line_is_refused():
    fits = protocol.LIMIT - len(protocol.encode(protocol.result(1, "")))
    assert len(protocol.encode(protocol.result(1, "x" * fits))) == protocol.LIMIT
    with pytest.raises(protocol.ProtocolError):
        protocol.encode(protocol.result(1, "x" * (fits + 1)))


@pytest.mark.parametrize(
    ("line", "code", "id"),
    [
        (None, protocol.PARSE_ERROR, None),
        (b"", protocol.PARSE_ERROR, None),
        (b"{", protocol.PARSE_ERROR, None),
        (b"\xff\xfe", protocol.PARSE_ERROR, None),
        (b"[" * 100_000, protocol.PARSE_ERROR, None),
        (b"9" * 10_000, protocol.PARSE_ERROR, None),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"fill"}', protocol.PARSE_ERROR, None),
        (b"[]", protocol.INVALID_REQUEST, None),
        (b'[{"jsonrpc":"2.0","id":1,"method":"doctor"}]', protocol.INVALID_REQUEST, None),
        (b"3", protocol.INVALID_REQUEST, None),
        (b"null", protocol.INVALID_REQUEST, None),
        (
            b'{"jsonrpc":"2.0","id":7,"method":"doctor","params":' + b"[" * 60 + b"]" * 60 + b"}",
            protocol.INVALID_REQUEST,
            7,
        ),
        (b'{"id":7,"method":"doctor"}', protocol.INVALID_REQUEST, 7),
        (b'{"jsonrpc":"1.0","id":7,"method":"doctor"}', protocol.INVALID_REQUEST, 7),
        (b'{"jsonrpc":"2.0","id":"x"}', protocol.INVALID_REQUEST, "x"),
        (b'{"jsonrpc":"2.0","id":"x","method":5}', protocol.INVALID_REQUEST, "x"),
        (b'{"jsonrpc":"2.0","id":null,"method":"doctor"}', protocol.INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":true,"method":"doctor"}', protocol.INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":1.0,"method":"doctor"}', protocol.INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":[1],"method":"doctor"}', protocol.INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":1' + b"0" * 30 + b',"method":"doctor"}', protocol.INVALID_REQUEST, None),
    ],
)
def test_no_message(line, code, id):
    with pytest.raises(protocol.ProtocolError) as caught:
        protocol.decode(line)
    assert (caught.value.code, caught.value.id) == (code, id)


def test_ids_are_short_texts_and_integers_of_64_bits():
    assert all(map(protocol.is_id, ("", "x" * 200, 2**63 - 1, 1 - 2**63)))
    assert not any(map(protocol.is_id, ("x" * 201, 2**63, -(2**63))))


@given(st.binary(max_size=200))
def test_decode_raises_nothing_else(line):
    with contextlib.suppress(protocol.ProtocolError):
        assert isinstance(protocol.decode(line), dict)


def test_codes_follow_the_exit_statuses():
    codes = [protocol.code_of(status) for status in (1, 2, 3, 4, 5)]
    assert codes == [protocol.INTERNAL_ERROR, -32002, -32003, -32004, -32005]


def test_codes_of_errors_are_those_of_json_rpc():
    assert (protocol.PARSE_ERROR, protocol.INVALID_REQUEST) == (-32700, -32600)
    assert (protocol.METHOD_NOT_FOUND, protocol.INVALID_PARAMS) == (-32601, -32602)
    assert protocol.INTERNAL_ERROR == -32603
