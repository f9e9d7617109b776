"""The bytes of a graph.

A graph is a sequence of atoms: one tag byte and what belongs to it, integers little-endian. First comes the root value,
then the contents of every mutable object in the order in which the objects were met. A mutable object is made empty
where it is first met and filled when its turn comes, so a graph of any depth needs no stack, and every cycle closes by
itself: no cycle consists of tuples and frozensets alone. Those two are written in place, members first.

Ids are not written. Both sides count: strings, bytes longer than SHORT, mutable objects, named values and live objects
get the next number where they are met, tuples and frozensets where they are complete. REF names an earlier one.

    NONE TRUE FALSE EMPTY (the empty tuple)
    FLOAT    8 bytes IEEE 754
    INT + n  n bytes, two's complement, n from 1 to 15
    BIG      u32 length, two's complement
    STR8 STR32 BYTES8 BYTES32     length, bytes (text as UTF-8, lone surrogates allowed)
    BLOB_BYTES BLOB_STR BLOB_INT  u64 length; the bytes follow outside of the graph's own blocks
    REF + n  id in n bytes, n from 1 to 4
    TUPLE8 TUPLE32 FROZENSET      count, members
    LIST8 LIST32 DICT8 DICT32 SET8 SET32 DEQUE   count; BOUNDED u32 count and u64 bound (a deque with maxlen)
    BYTEARRAY
    CLASS    u32 length, description; gets the next class number and is no value
    OBJECT8 OBJECT32 class number; RECORD8 RECORD32 class number, members (a NamedTuple)
    NAMED KEY u32 length, a registered name or the key of a live object; LIVE u32 index of a live object
    SMALL + n the integer n, from 0 to 127

Contents: the items of a list or deque, all keys and then all values of a dict, the members of a set, one bytes value
for a bytearray, the fields of an object in the order of its class's description. The description of a class is UTF-8
text: for each registered class from its first base to itself the name, the version and the fields, separated by U+0000,
the classes separated by U+0001. An atom is never split between two blocks.
"""

from typing import Final

NONE: Final = 0x00
TRUE: Final = 0x01
FALSE: Final = 0x02
EMPTY: Final = 0x03
FLOAT: Final = 0x04
STR8: Final = 0x05
STR32: Final = 0x06
BYTES8: Final = 0x07
BYTES32: Final = 0x08
BIG: Final = 0x09
BLOB_BYTES: Final = 0x0A
BLOB_STR: Final = 0x0B
BLOB_INT: Final = 0x0C
INT: Final = 0x10
REF: Final = 0x20
TUPLE8: Final = 0x28
TUPLE32: Final = 0x29
FROZENSET: Final = 0x2A
LIST8: Final = 0x2B
LIST32: Final = 0x2C
DICT8: Final = 0x2D
DICT32: Final = 0x2E
SET8: Final = 0x2F
SET32: Final = 0x30
DEQUE: Final = 0x31
BOUNDED: Final = 0x32
BYTEARRAY: Final = 0x33
CLASS: Final = 0x34
OBJECT8: Final = 0x35
OBJECT32: Final = 0x36
RECORD8: Final = 0x37
RECORD32: Final = 0x38
NAMED: Final = 0x39
KEY: Final = 0x3A
LIVE: Final = 0x3B
SMALL: Final = 0x80

SHORT: Final = 8
"""Bytes up to this length are repeated rather than numbered."""

INLINE: Final = 1 << 16
"""Longer bytes, text and integers are blobs where the graph is streamed."""

MAX_BLOCK: Final = 1 << 22
"""No block of an image is longer."""

MAX_CHUNK: Final = 1 << 20
"""No block of bulk bytes is longer."""

MAX_KEY_WEIGHT: Final = 10_000
"""How many values the hash of one key or member of a set may visit: tuples nest, and hashing them is recursive in C."""

ATOMS: Final = frozenset((int, str, bytes, bool, float, type(None)))
"""Types whose hash needs nothing but themselves."""
