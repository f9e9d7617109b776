"""The host's processor against its own /proc/cpuinfo, and processors that only exist here."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sentry_cpuid as c
from sentry_cpuid import AMD, INTEL, NAMES, FeatureSet, Leaf, feature, feature_name

AVX, CLFLUSH, SYSCALL = feature("avx"), feature("clflush"), feature("syscall")
EMPTY = FeatureSet(INTEL, 6, 85, 7)

RYZEN = """
processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 33
model name\t: A processor of this test
stepping\t: 2
flags\t\t: fpu cx8 syscall nx mmxext lm constant_tsc rep_good pni cx16 svm avx2 clzero overflow_recov
clflush size\t: 64
address sizes\t: 48 bits physical, 48 bits virtual
"""


def host_rows() -> dict[str, str]:
    """Return the first block of the host's /proc/cpuinfo."""
    block = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in block.splitlines())}


def bits(*names: str) -> int:
    """Return features by name."""
    return sum(1 << feature(name) for name in names)


# -- the host


def test_flags_are_the_hosts() -> None:
    """Same flags, same order; what Linux makes itself and what it turns off is in a table with its reason."""
    theirs = host_rows()["flags"].split()
    host = c.host_features()
    ours = host.flags().split()
    made = [flag for flag in theirs if flag not in ours]
    assert [flag for flag in made if flag not in c.SYNTHETIC] == []
    assert [flag for flag in ours if flag not in theirs and flag not in c.DISABLED] == []
    assert [flag for flag in host.flags(made).split() if flag in theirs] == theirs


def test_rows_are_the_hosts() -> None:
    """Vendor, family, model, names and sizes."""
    theirs = host_rows()
    text = c.host_features().cpuinfo(3, 2600.0)
    ours = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}
    for row in ("vendor_id", "cpu family", "model", "model name", "stepping", "clflush size", "address sizes"):
        assert ours[row] == theirs[row], row
    assert (ours["processor"], ours["cpu MHz"], ours["bogomips"]) == ("3", "2600.000", "5200.00")
    assert text.endswith("power management:\n\n")
    assert [line for line in text.splitlines() if line.count("\t") == 0] == [
        *(
            line
            for line in text.splitlines()
            if line.startswith(("clflush size", "fpu_exception")) and "\t" not in line
        ),
        "power management:",
        "",
    ]


def test_host_runs_what_it_runs() -> None:
    """It is compatible with itself, and has what every 64-bit processor has."""
    host = c.host_features()
    host.check_host_compatible()
    assert all(host.has(feature(name)) for name in ("fpu", "pae", "lm", "syscall", "sse2"))
    assert c.host_features() is host
    if host.uses_xsave:
        assert 512 < host.extended_state_size().size <= host.extended_state_size(everything=True).size
        assert host.valid_xcr0_mask() & 3 == 3
        assert host.valid_xcr0_mask() & 1 << 17 == 0


def test_arguments() -> None:
    """CPUID takes 32 bits."""
    assert c.cpuid(0).ebx == c.cpuid(0, 0).ebx
    for wrong in ((1 << 32, 0), (0, -1)):
        with pytest.raises(ValueError, match="32-bit"):
            c.cpuid(*wrong)


def test_mhz(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the first processor's line says; 0 if there is none."""
    assert c.host_mhz() == float(host_rows().get("cpu MHz", 0))
    real = open

    def other(_: object, **kwargs: str) -> object:
        return real(tmp_path / "cpuinfo", **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr("builtins.open", other)
    assert c.host_mhz() == 0
    for text, mhz in (("cpu MHz\t\t: 12.5\n", 12.5), ("cpu MHz\t\t: fast\n", 0), ("nothing\n", 0)):
        (tmp_path / "cpuinfo").write_text(text)
        assert c.host_mhz() == mhz


# -- names


def test_names() -> None:
    """Numbers are 32 x block + bit; a name is one feature's."""
    assert (feature("pni"), feature("fpu"), feature("avx"), feature("smep"), feature("avx512vbmi")) == (
        0,
        32,
        28,
        71,
        97,
    )
    assert feature("clfushopt") == feature("clflushopt")
    assert len(set(NAMES.values())) == len(NAMES)
    assert feature_name(feature("osxsave")) == "osxsave"
    assert feature_name(16) == "<feature 16: block 0 (leaf 0x1/0 ecx) bit 16>"
    assert not set(c.SYNTHETIC) & set(NAMES.values())
    assert set(c.DISABLED) <= set(NAMES.values())
    with pytest.raises(c.FeatureError, match="bad"):
        feature("bad")
    for number in (-1, 32 * len(c.BLOCKS)):
        with pytest.raises(c.FeatureError, match="no feature"):
            feature_name(number)


def test_flags_line() -> None:
    """Linux's order by words, nothing that it does not name, and its own flags on request."""
    some = EMPTY._replace(
        features=bits("avx2", "fpu", "pni", "syscall", "osxsave", "fsrm", "umip", "lahf_lm") | 1 << 16
    )
    assert some.flags() == "fpu syscall pni lahf_lm avx2 umip fsrm"
    assert some.flags(["nopl", "cpuid"]) == "fpu syscall nopl cpuid pni lahf_lm avx2 umip fsrm"
    with pytest.raises(c.FeatureError, match="avx"):
        some.flags(["avx"])


# -- sets


def test_add_and_remove() -> None:
    """Both may be repeated; neither changes the set itself."""
    with_avx = EMPTY.add(AVX)
    assert with_avx.has(AVX)
    assert not EMPTY.has(AVX)
    assert with_avx.add(AVX) == with_avx
    assert with_avx.remove(AVX) == EMPTY == EMPTY.remove(AVX)
    with pytest.raises(c.FeatureError):
        EMPTY.add(9999)


FEATURES = st.sets(st.sampled_from(sorted(NAMES)), max_size=20)


@given(FEATURES, FEATURES)
def test_subtract_against_sets(mine: set[int], others: set[int]) -> None:
    """The same as with sets of numbers; a subset is compatible."""
    ours = EMPTY._replace(features=sum(1 << n for n in mine))
    other = EMPTY._replace(vendor=AMD, features=sum(1 << n for n in others))
    assert ours.subtract(other) == sorted(mine - others)
    if mine <= others:
        ours.check_host_compatible(other)
    else:
        with pytest.raises(c.IncompatibleError) as caught:
            ours.check_host_compatible(other)
        assert all(feature_name(n) in str(caught.value) for n in mine - others)


def test_cache_lines_must_agree() -> None:
    """Else what a program has measured is wrong."""
    with pytest.raises(c.IncompatibleError, match="64 bytes, not 128"):
        EMPTY._replace(cache_line_bytes=128).check_host_compatible(EMPTY)


def test_description() -> None:
    """A set of what /proc/cpuinfo says, and what is wrong with others."""
    ryzen = FeatureSet.describe(RYZEN)
    assert (ryzen.vendor, ryzen.family, ryzen.model, ryzen.stepping) == (AMD, 25, 33, 2)
    assert ryzen.flags() == "fpu cx8 syscall nx mmxext lm pni cx16 svm avx2 clzero overflow_recov"
    assert FeatureSet.describe("vendor_id:x\ncpu family:1\nmodel:2\nflags:").physical_bits == 46
    for text, match in (
        (RYZEN.replace("vendor_id", "vendor"), "no line 'vendor_id'"),
        (RYZEN.replace("25", "many"), "'many'"),
        (RYZEN.replace("48 bits physical, 48 bits virtual", "plenty"), "plenty"),
        (RYZEN.replace("avx2", "avx9"), "avx9"),
    ):
        with pytest.raises(ValueError, match=match):
            FeatureSet.describe(text)


@given(FEATURES)
def test_description_of_cpuinfo(numbers: set[int]) -> None:
    """Text and back, for what is shown."""
    ours = EMPTY._replace(features=sum(1 << n for n in numbers))
    again = FeatureSet.describe(ours.cpuinfo(kernel=["nopl"]))
    assert again.flags() == ours.flags()
    assert (again.family, again.model, again.stepping, again.brand) == (6, 85, 7, "unknown")


def test_extended_state() -> None:
    """Without XSAVE turned on it is FXSAVE's; AMX is not for XCR0."""
    leaf = Leaf(0x600E7, 2696, 11008, 0)
    bare = EMPTY._replace(xsave=((0, leaf),))
    assert bare.extended_state_size() == (512, 16)
    assert bare.valid_xcr0_mask() == 0
    assert bare.emulate(0xD) == Leaf()
    turned_on = bare._replace(features=bits("xsave", "osxsave", "xsaveopt"))
    assert turned_on.extended_state_size() == (2696, 64)
    assert turned_on.extended_state_size(everything=True) == (11008, 64)
    assert turned_on.valid_xcr0_mask() == 0xE7
    assert turned_on.emulate(0xD) == leaf
    assert turned_on.uses_xsaveopt
    assert not turned_on.remove(feature("xsaveopt")).uses_xsaveopt
    assert turned_on._replace(xsave=()).extended_state_size() == (576, 64)


# -- CPUID


def test_emulate() -> None:
    """What the leaves say, and what they do not."""
    cache = c.Cache(1, 1, 64, 1, 12, 64)
    intel = EMPTY._replace(features=bits("avx", "clflush", "smep", "avx512vbmi", "syscall"), caches=(cache,))
    assert intel.emulate(0) == Leaf(0xD, 0x756E_6547, 0x6C65_746E, 0x4965_6E69)
    assert intel.emulate(1) == Leaf(0x50657, 8 << 8, 1 << 28, 1 << 19)
    assert intel.emulate(2) == Leaf(0xFF01)
    assert intel.emulate(4) == Leaf(0x121, 11 << 22 | 63, 63)
    assert intel.emulate(4, 1) == Leaf()
    assert intel.emulate(7) == Leaf(0, 1 << 7, 1 << 1, 0)
    assert intel.emulate(7, 1) == intel.emulate(7, 2) == intel.emulate(0x1234) == intel.emulate(0x8000_1234) == Leaf()
    assert intel.emulate(0x8000_0000) == Leaf(0x8000_0008)
    assert intel.emulate(0x8000_0001) == Leaf(0, 0, 0, 1 << 11)
    amd = FeatureSet.describe(RYZEN)
    assert amd.emulate(2) == amd.emulate(4) == Leaf()
    assert amd.emulate(0x8000_0000).ebx == int.from_bytes(b"Auth", "little")
    assert amd.emulate(0x8000_0001).edx & 1 << 8, "cx8, repeated"
    assert not amd._replace(vendor=INTEL).emulate(0x8000_0001).edx & 1 << 8


@given(
    st.sets(st.sampled_from([n for n in range(32 * 14) if n // 32 not in (11, 13)])),
    st.sampled_from([INTEL, AMD]),
    st.sampled_from([(6, 0x9F, 3), (0xF, 4, 0), (0x19, 0x21, 2), (5, 9, 1)]),
    st.text("abc ()", max_size=48).map(lambda text: " ".join(text.split()) or "unknown"),
)
def test_reading_what_is_emulated(numbers: set[int], vendor: str, model: tuple[int, int, int], brand: str) -> None:
    """A set that is shown as CPUID is read back as it was."""
    mirror = {feature("syscall") - 11 + bit for bit in range(32) if 0x0183_F3FF >> bit & 1}
    features = sum(1 << n for n in numbers - mirror | {feature("xsave"), feature("osxsave"), CLFLUSH})
    caches = (c.Cache(1, 1, 64, 1, 8, 64), c.Cache(3, 3, 64, 2, 16, 1 << 20, fully_associative=True, flags=6))
    ours = FeatureSet(
        vendor,
        *model,
        features,
        brand=brand,
        caches=caches if vendor == INTEL else (),
        xsave=((0, Leaf(7, 832, 832)), (2, Leaf(256, 576))),
    )
    assert FeatureSet.read(ours.emulate) == ours


def test_reading_others() -> None:
    """A processor without extended leaves, with a virtualisation leaf, with caches that do not fit."""

    def old(leaf: int, _: int) -> Leaf:
        return {0: Leaf(1, *EMPTY.emulate(0)[1:]), 1: Leaf(0x543)}.get(
            leaf, Leaf(99, 99, 99, 99) if leaf < 1 << 31 else Leaf()
        )

    bare = FeatureSet.read(old)
    assert (bare.family, bare.model, bare.stepping, bare.features, bare.brand) == (5, 4, 3, 0, "unknown")
    assert (bare.physical_bits, bare.virtual_bits) == (36, 32)

    def virtual(leaf: int, subleaf: int) -> Leaf:
        if leaf == 0x8000_0000:
            return Leaf(0x8000_000A)
        return Leaf(edx=1) if leaf == 0x8000_000A else EMPTY._replace(features=bits("svm")).emulate(leaf, subleaf)

    assert FeatureSet.read(virtual).flags() == "svm npt"
    wrong = EMPTY._replace(caches=(c.Cache(1, 1, 128, 1, 8, 64),))
    with pytest.raises(c.DescriptionError, match="128 bytes, CLFLUSH flushes 64"):
        FeatureSet.read(wrong.emulate)
    endless = EMPTY._replace(caches=(c.Cache(1, 1, 64, 1, 8, 64),) * 50)
    assert len(FeatureSet.read(endless.emulate).caches) == 32


def test_readme_example() -> None:
    """Run it."""
    text = (Path(__file__).parent.parent / "README.md").read_text()
    exec(compile(text.split("```python\n")[1].split("```")[0], "README.md", "exec"), {})  # noqa: S102  (our own README)
    assert os.path.exists("/proc/cpuinfo")  # noqa: PTH110  (nothing else is needed)
