"""The bytes of an HDF5 chunk: shuffle, deflate and fletcher32, as any reader of HDF5 undoes them.

HDF5's own filters deflate whatever they get. Of a measured double's eight bytes two or three are noise, or nearly so:
deflated they are hardly smaller, and a reader spends more time on them than on all the rest. So the byte planes of
doubles are deflated one by one, and those are stored as they are that would not become much smaller.
"""

from __future__ import annotations

import zlib

import numpy as np

DEFLATE_LEVEL = 9
APART = 4096  # cells of a chunk from which on planes stand alone: each costs the codes of a block
PAYS = 0.7  # of a plane's bytes: deflated to more than that, it is stored
_STORED_MAX = 65535  # bytes of a stored block


def chunk_bytes(cells: np.ndarray) -> bytes:
    """What the filters of the format make of a whole chunk of numbers."""
    width = cells.dtype.itemsize
    little = np.ascontiguousarray(cells, cells.dtype.newbyteorder("<"))
    planes = np.ascontiguousarray(little.view(np.uint8).reshape(len(cells), width).T)
    alone = cells.dtype.kind == "f" and len(cells) >= APART
    packed = _deflate([plane.tobytes() for plane in planes] if alone else [planes.tobytes()], alone)
    return packed + fletcher32(packed).to_bytes(4, "little")


def fletcher32(data: bytes) -> int:
    """HDF5's: two sums over big-endian words of 16 bits, an odd last byte a high one, modulo 65535; a sum that is
    divisible by that is 65535, but a sum of zeros 0."""
    words = np.frombuffer(data + b"\0" * (len(data) % 2), ">u2").astype(np.uint64)
    times = np.arange(len(words), 0, -1, dtype=np.uint64) % np.uint64(65535)
    return _fold(int((words * times % np.uint64(65535)).sum())) << 16 | _fold(int(words.sum()))


def _fold(total: int) -> int:
    return (total - 1) % 65535 + 1 if total else 0


def _deflate(pieces: list[bytes], may_store: bool) -> bytes:
    """A zlib stream in which no piece refers to another."""
    check = 1
    stream = bytearray(b"\x78\xda")
    for number, piece in enumerate(pieces):
        stream += _blocks(piece, number == len(pieces) - 1, may_store)
        check = zlib.adler32(piece, check)
    return bytes(stream) + check.to_bytes(4, "big")


def _blocks(piece: bytes, last: bool, may_store: bool) -> bytes:
    packer = zlib.compressobj(DEFLATE_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = packer.compress(piece) + packer.flush(zlib.Z_FINISH if last else zlib.Z_FULL_FLUSH)
    return _stored(piece, last) if may_store and len(deflated) > PAYS * len(piece) else deflated


def _stored(piece: bytes, last: bool) -> bytes:
    out = bytearray()
    for start in range(0, len(piece), _STORED_MAX):
        block = piece[start:start + _STORED_MAX]
        out.append(last and start + len(block) == len(piece))
        out += len(block).to_bytes(2, "little") + (len(block) ^ 0xFFFF).to_bytes(2, "little") + block
    return bytes(out)
