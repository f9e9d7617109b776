"""The description of a processor: which features it has, who made it, how large its extended state is.

A `FeatureSet` is plain data: it is read once, from CPUID or any function that answers like it, can be saved, compared,
cut down, shown as /proc/cpuinfo and as CPUID, and compared with the host that is to run what ran on it.

Differs, all towards what Linux shows on the host, where guests run natively: gVisor adds family and model with its own
formula, shows no feature beyond leaf 7 ECX, and has no model name.

Sources: Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E; Linux arch/x86/kernel/cpu/{common,proc}.c; gVisor
`pkg/cpuid`.
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Final, NamedTuple

from sentry_cpuid._cpu import ZERO, Leaf, cpuid
from sentry_cpuid._features import (
    BLOCKS,
    NAMES,
    SYNTHETIC,
    FeatureError,
    feature,
    feature_name,
    flag_position,
    mirrored,
    without_mirrored,
)

INTEL: Final = "GenuineIntel"
AMD: Final = "AuthenticAMD"

Query = Callable[[int, int], Leaf]
"""A function that answers as CPUID does."""

_MAX_LEAF: Final = 0xD
_MAX_EXTENDED: Final = 0x8000_0008
_XSAVE: Final = 1 << feature("xsave")
_OSXSAVE: Final = 1 << feature("osxsave")
_XSAVEOPT: Final = 1 << feature("xsaveopt")
_AMX_STATE: Final = 1 << 17 | 1 << 18
_MAX_CACHES: Final = 32


class IncompatibleError(Exception):
    """A host cannot run what ran elsewhere; the text says what it lacks."""


class DescriptionError(ValueError):
    """A description of a processor makes no sense; the text says where."""


class Cache(NamedTuple):
    """One cache, of leaf 4: kind is 1 for data, 2 for instructions, 3 for both."""

    level: int
    kind: int
    line_bytes: int
    partitions: int
    ways: int
    sets: int
    fully_associative: bool = False
    flags: int = 0
    """Bits of EDX: does write-back not invalidate lower levels, inclusive, complex indexing."""


class ExtendedState(NamedTuple):
    """How large the area for the extended state is, in bytes, and how it is aligned."""

    size: int
    alignment: int


class FeatureSet(NamedTuple):
    """One processor. Immutable: `add` and `remove` return another."""

    vendor: str
    family: int
    model: int
    stepping: int
    features: int = 0
    """Bit n is feature n."""
    type: int = 0
    brand: str = "unknown"
    cache_line_bytes: int = 64
    caches: tuple[Cache, ...] = ()
    xsave: tuple[tuple[int, Leaf], ...] = ()
    """Sub-leaves of leaf 0xd that are not zero; EAX of the first is block 4 of the features."""
    physical_bits: int = 46
    virtual_bits: int = 48

    # -- makers

    @classmethod
    def read(cls, query: Query = cpuid) -> "FeatureSet":
        """Describe the processor that query answers for; by default the one that runs us.

        Raises: DescriptionError if a cache's lines have another length than CLFLUSH flushes.
        """
        highest, *name = query(0, 0)
        vendor = b"".join(word.to_bytes(4, "little") for word in (name[0], name[2], name[1])).decode("latin-1")
        extended = query(0x8000_0000, 0).eax
        leaves: dict[tuple[int, int], Leaf] = {}

        def ask(leaf: int, subleaf: int = 0) -> Leaf:
            if leaf > (extended if leaf >= 0x8000_0000 else highest):
                return ZERO
            found = leaves.get((leaf, subleaf))
            if found is None:
                found = leaves[leaf, subleaf] = query(leaf, subleaf)
            return found

        signature, ebx, _, _ = ask(1)
        has_xsave = bool(ask(1).ecx >> 26 & 1)
        features = 0
        for number, block in enumerate(BLOCKS):
            if block.subleaf and (not has_xsave if block.leaf == 0xD else ask(7).eax < block.subleaf):
                continue
            word: int = getattr(ask(block.leaf, block.subleaf), block.register)
            if block.word == 1:
                word = without_mirrored(word)
            elif block.leaf == 0x8000_000A and not ask(0x8000_0001).ecx & 4:
                word = 0
            features |= word << 32 * number
        line = (ebx >> 8 & 0xFF) * 8
        caches = _read_caches(ask, line) if vendor == INTEL else ()
        xsave = {sub: ask(0xD, sub) for sub in range(64)} if has_xsave else {}
        xsave[1] = xsave.get(1, ZERO)._replace(eax=0)
        sizes = ask(0x8000_0008).eax
        return cls(
            vendor,
            *_signature(signature),
            features,
            signature >> 12 & 3,
            _read_brand(ask) or "unknown",
            line,
            caches,
            tuple((sub, leaf) for sub, leaf in xsave.items() if any(leaf)),
            sizes & 0xFF or 36,
            sizes >> 8 & 0xFF or 32,
        )

    @classmethod
    def describe(cls, text: str) -> "FeatureSet":
        """Make a set of a description: lines `name : value` as in /proc/cpuinfo, of which the first block counts.

        `vendor_id`, `cpu family`, `model` and `flags` are needed; flags that Linux makes itself are ignored.

        Raises: DescriptionError for what is missing or no number; FeatureError for an unknown flag.
        """
        rows: dict[str, str] = {}
        for line in text.strip().split("\n\n", 1)[0].splitlines():
            name, _, value = line.partition(":")
            rows[name.strip()] = value.strip()
        for needed in ("vendor_id", "cpu family", "model", "flags"):
            if needed not in rows:
                message = f"the description of a processor has no line {needed!r}"
                raise DescriptionError(message)
        features = 0
        for flag in rows["flags"].split():
            if flag not in SYNTHETIC:
                features |= 1 << feature(flag)
        sizes = rows.get("address sizes", "46 bits physical, 48 bits virtual").split()
        if len(sizes) < 4:
            message = f"the address sizes of a processor are not {' '.join(sizes)!r}"
            raise DescriptionError(message)
        return cls(
            rows["vendor_id"],
            _number(rows, "cpu family", 0),
            _number(rows, "model", 0),
            _number(rows, "stepping", 0),
            features,
            brand=rows.get("model name", "unknown"),
            cache_line_bytes=_number(rows, "clflush size", 64),
            physical_bits=_number({"physical": sizes[0]}, "physical", 46),
            virtual_bits=_number({"virtual": sizes[3]}, "virtual", 48),
        )

    # -- features

    def has(self, number: int) -> bool:
        """Return whether it has a feature."""
        return self.features >> number & 1 == 1

    def add(self, number: int) -> "FeatureSet":
        """Return a set with a feature. Raises: FeatureError for a number that is none."""
        feature_name(number)
        return self._replace(features=self.features | 1 << number)

    def remove(self, number: int) -> "FeatureSet":
        """Return a set without a feature, which it need not have."""
        feature_name(number)
        return self._replace(features=self.features & ~(1 << number))

    def subtract(self, other: "FeatureSet") -> list[int]:
        """Return the features that other lacks, in order; none if this is a subset."""
        missing = self.features & ~other.features
        return [number for number in range(missing.bit_length()) if missing >> number & 1]

    def check_host_compatible(self, host: "FeatureSet | None" = None) -> None:
        """Check that a guest that ran with this set can continue on a host, by default ours.

        Vendor, model and caches may differ. Raises: IncompatibleError for features that the host lacks, and for another
        length of cache lines.
        """
        host = host or host_features()
        missing = self.subtract(host)
        if missing:
            message = f"the processor lacks {', '.join(feature_name(number) for number in missing)}"
            raise IncompatibleError(message)
        if self.cache_line_bytes != host.cache_line_bytes:
            message = f"cache lines have {host.cache_line_bytes} bytes, not {self.cache_line_bytes}"
            raise IncompatibleError(message)

    def flags(self, kernel: Iterable[str] = ()) -> str:
        """Return the flags line of /proc/cpuinfo, in Linux's order; `kernel` are flags of `SYNTHETIC` to show too.

        Raises: FeatureError for a flag in `kernel` that Linux does not make.
        """
        shown = {}
        for name in kernel:
            if name not in SYNTHETIC:
                message = f"{name!r} is no flag that Linux makes itself"
                raise FeatureError(message)
            shown[SYNTHETIC[name][0]] = name
        for number in range(self.features.bit_length()):
            if self.features >> number & 1:
                position = flag_position(number)
                if position is not None:
                    shown[position] = NAMES[number]
        return " ".join(name for _, name in sorted(shown.items()))

    def cpuinfo(self, number: int = 0, mhz: float = 0.0, kernel: Iterable[str] = ()) -> str:
        """Return the block of processor `number` in /proc/cpuinfo, with the blank line after it.

        `mhz` is shown as the clock rate, and twice as bogomips, as a constant time stamp counter makes it.
        """
        rows = (
            ("processor\t", number),
            ("vendor_id\t", self.vendor),
            ("cpu family\t", self.family),
            ("model\t\t", self.model),
            ("model name\t", self.brand),
            ("stepping\t", self.stepping),
            ("cpu MHz\t\t", f"{mhz:.3f}"),
            ("fpu\t\t", "yes"),
            ("fpu_exception\t", "yes"),
            ("cpuid level\t", _MAX_LEAF),
            ("wp\t\t", "yes"),
            ("flags\t\t", self.flags(kernel)),
            ("bogomips\t", f"{2 * mhz:.2f}"),
            ("clflush size\t", self.cache_line_bytes),
            ("cache_alignment\t", self.cache_line_bytes),
            ("address sizes\t", f"{self.physical_bits} bits physical, {self.virtual_bits} bits virtual"),
        )
        return "".join(f"{name}: {value}\n" for name, value in rows) + "power management:\n\n"

    # -- the extended state

    @property
    def uses_xsave(self) -> bool:
        """Return whether XSAVE is there, and turned on by the host."""
        return bool(self.features & _XSAVE and self.features & _OSXSAVE)

    @property
    def uses_xsaveopt(self) -> bool:
        """Return whether XSAVEOPT is there too."""
        return self.uses_xsave and bool(self.features & _XSAVEOPT)

    def extended_state_size(self, *, everything: bool = False) -> ExtendedState:
        """Return the size of the extended state that the host has turned on, or of everything the processor has.

        Differs: gVisor in 2019 returned the latter.
        """
        if not self.uses_xsave:
            return ExtendedState(512, 16)
        leaf = dict(self.xsave).get(0, ZERO)
        return ExtendedState((leaf.ecx if everything else leaf.ebx) or 576, 64)

    def valid_xcr0_mask(self) -> int:
        """Return the components of the extended state that XCR0 may name, without those of AMX; 0 without XSAVE."""
        leaf = dict(self.xsave).get(0, ZERO)
        return (leaf.edx << 32 | leaf.eax) & ~_AMX_STATE if self.uses_xsave else 0

    # -- CPUID

    def emulate(self, leaf: int, subleaf: int = 0) -> Leaf:
        """Return what CPUID answers on this processor: what the set says, and zeros for everything else."""
        if leaf in (0, 0x8000_0000):
            name = self.vendor.encode("latin-1").ljust(12, b"\0") if leaf == 0 or self.vendor == AMD else b""
            words = [int.from_bytes(name[at : at + 4], "little") for at in (0, 8, 4)]
            return Leaf(_MAX_LEAF if leaf == 0 else _MAX_EXTENDED, *words)
        if leaf == 1:
            return Leaf(_to_signature(self), self.cache_line_bytes // 8 << 8, self._block(0), self._block(1))
        if leaf == 2:
            return Leaf(0xFF01) if self.vendor == INTEL else ZERO
        if leaf == 4:
            known = self.vendor == INTEL and subleaf < len(self.caches)
            return _cache_leaf(self.caches[subleaf]) if known else ZERO
        if leaf == 6:
            return Leaf(self._block(10))
        if leaf == 7:
            return self._emulate_7(subleaf)
        if leaf == 0xD:
            return self._emulate_xsave(subleaf) if self.uses_xsave else ZERO
        return self._emulate_extended(leaf)

    def _emulate_7(self, subleaf: int) -> Leaf:
        if subleaf == 0:
            return Leaf(int(self._block(8) != 0), self._block(2), self._block(3), self._block(7))
        return Leaf(self._block(8)) if subleaf == 1 else ZERO

    def _emulate_xsave(self, subleaf: int) -> Leaf:
        found = dict(self.xsave).get(subleaf, ZERO)
        return found._replace(eax=self._block(4)) if subleaf == 1 else found

    def _emulate_extended(self, leaf: int) -> Leaf:
        if leaf == 0x8000_0001:
            return Leaf(0, 0, self._block(5), self._block(6) | (mirrored(self._block(1)) if self.vendor == AMD else 0))
        if 0x8000_0002 <= leaf <= 0x8000_0004:
            text = self.brand.encode("latin-1", "replace")[:48].ljust(48, b"\0")
            at = 16 * (leaf - 0x8000_0002)
            return Leaf(*(int.from_bytes(text[i : i + 4], "little") for i in range(at, at + 16, 4)))
        if leaf == 0x8000_0007:
            return Leaf(0, self._block(12))
        if leaf == 0x8000_0008:
            return Leaf(self.physical_bits | self.virtual_bits << 8, self._block(9))
        return ZERO

    def _block(self, number: int) -> int:
        return self.features >> 32 * number & 0xFFFF_FFFF


def _signature(eax: int) -> tuple[int, int, int]:
    """Return family, model and stepping as Linux adds them up (x86_family, x86_model)."""
    family, model = eax >> 8 & 0xF, eax >> 4 & 0xF
    if family == 0xF:
        family += eax >> 20 & 0xFF
    if family >= 6:
        model |= eax >> 12 & 0xF0
    return family, model, eax & 0xF


def _to_signature(what: FeatureSet) -> int:
    base = min(what.family, 0xF)
    extended = (what.family - base) << 20 | (what.model >> 4) << 16
    return extended | what.type << 12 | base << 8 | (what.model & 0xF) << 4 | what.stepping


def _read_caches(ask: Query, line: int) -> tuple[Cache, ...]:
    found: list[Cache] = []
    for index in range(_MAX_CACHES):
        eax, ebx, ecx, edx = ask(4, index)
        kind = eax & 0x1F
        if not kind:
            break
        cache_line = (ebx & 0xFFF) + 1
        if cache_line != line:
            message = f"cache {index} has lines of {cache_line} bytes, CLFLUSH flushes {line}"
            raise DescriptionError(message)
        parts, ways = (ebx >> 12 & 0x3FF) + 1, (ebx >> 22) + 1
        found.append(Cache(eax >> 5 & 7, kind, cache_line, parts, ways, ecx + 1, bool(eax & 0x200), edx & 7))
    return tuple(found)


def _cache_leaf(cache: Cache) -> Leaf:
    """Return a sub-leaf of leaf 4: self-initialising, not shared."""
    eax = cache.kind | cache.level << 5 | 1 << 8 | cache.fully_associative << 9
    ebx = cache.line_bytes - 1 | cache.partitions - 1 << 12 | cache.ways - 1 << 22
    return Leaf(eax, ebx, cache.sets - 1, cache.flags)


def _read_brand(ask: Query) -> str:
    leaves = (ask(leaf, 0) for leaf in range(0x8000_0002, 0x8000_0005))
    raw = b"".join(word.to_bytes(4, "little") for leaf in leaves for word in leaf)
    return " ".join(raw.split(b"\0", 1)[0].decode("latin-1").split())


def _number(rows: dict[str, str], name: str, default: int) -> int:
    text = rows.get(name, str(default))
    if not text.isdecimal():
        message = f"{name!r} of a processor is a number, not {text!r}"
        raise DescriptionError(message)
    return int(text)


@cache
def host_features() -> FeatureSet:
    """Return the processor that runs us; read once, in some milliseconds."""
    return FeatureSet.read()


def host_mhz() -> float:
    """Return the clock rate that the host's /proc/cpuinfo shows first; 0 if it shows none."""
    try:
        with open("/proc/cpuinfo", encoding="latin-1") as file:  # noqa: PTH123  (no pathlib in a kernel)
            for line in file:
                if line.startswith("cpu MHz"):
                    return float(line.partition(":")[2])
    except (OSError, ValueError):
        pass
    return 0.0
