"""Features of processors: numbers, and names as /proc/cpuinfo writes them.

A feature's number is 32 times its block plus its bit; a block is one register of one leaf. Blocks 0 to 6 are gVisor's
of 2019, the others follow. The flags line is in the order of Linux's words, not of our numbers, and shows only what
Linux names (since 6.10: what cpufeatures.h has in quotation marks).

Sources: Linux arch/x86/include/asm/cpufeatures.h, arch/x86/kernel/cpu/scattered.c (6.18).
"""

from typing import Final, NamedTuple


class Block(NamedTuple):
    """Where 32 features come from, the place of Linux's word in the flags line, and the names from bit 0 on."""

    leaf: int
    subleaf: int
    register: str
    word: int
    names: tuple[str, ...]


_UNNAMED = "-"


def _names(text: str) -> tuple[str, ...]:
    """Split names; `-` is a bit without a name, `*` is a name that is understood but never shown."""
    return tuple(text.split())


BLOCKS: Final = (
    Block(1, 0, "ecx", 4, _names(
        "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca sse4_1 "
        "sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave *osxsave avx f16c rdrand hypervisor"
    )),
    Block(1, 0, "edx", 0, _names(
        "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi mmx fxsr "
        "sse sse2 ss ht tm ia64 pbe"
    )),
    Block(7, 0, "ebx", 9, _names(
        "fsgsbase tsc_adjust sgx bmi1 hle avx2 *fdp_excptn_only smep bmi2 erms invpcid rtm cqm *fpcsds mpx rdt_a "
        "avx512f avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd sha_ni "
        "avx512bw avx512vl"
    )),
    Block(7, 0, "ecx", 16, _names(
        "*prefetchwt1 avx512vbmi umip pku ospke waitpkg avx512_vbmi2 *shstk gfni vaes vpclmulqdq avx512_vnni "
        "avx512_bitalg tme avx512_vpopcntdq - la57 - - - - - rdpid *kl bus_lock_detect cldemote - movdiri movdir64b "
        "enqcmd *sgx_lc *pks"
    )),
    Block(0xD, 1, "eax", 10, _names(
        "xsaveopt xsavec xgetbv1 xsaves *xfd"
    )),
    Block(0x8000_0001, 0, "ecx", 6, _names(
        "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - "
        "lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext ptsc perfctr_llc mwaitx"
    )),
    Block(0x8000_0001, 0, "edx", 1, _names(
        "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow"
    )),
    Block(7, 0, "edx", 18, _names(
        "- *sgx_keys avx512_4vnniw avx512_4fmaps fsrm *uintr - - avx512_vp2intersect *srbds_ctrl md_clear "
        "*rtm_always_abort - *tsx_force_abort serialize *hybrid_cpu tsxldtrk - pconfig arch_lbr ibt - amx_bf16 "
        "avx512_fp16 amx_tile amx_int8 *spec_ctrl *intel_stibp flush_l1d arch_capabilities *core_capabilities "
        "*spec_ctrl_ssbd"
    )),
    Block(7, 1, "eax", 12, _names(
        "*sha512 *sm3 *sm4 - avx_vnni avx512_bf16 *cmpccxadd *archperfmonext - - *fzrm *fsrs *fsrc - - - - fred "
        "*lkgs *wrmsrns - *amx_fp16 - *avx_ifma - - lam"
    )),
    Block(0x8000_0008, 0, "ebx", 13, _names(
        "clzero irperf xsaveerptr - rdpru - - - - wbnoinvd - - *amd_ibpb - *amd_ibrs *amd_stibp - - - - - - - "
        "amd_ppin *amd_ssbd virt_ssbd *amd_ssb_no cppc - *btc_no - brs"
    )),
    Block(6, 0, "eax", 14, _names(
        "dtherm ida arat - pln - pts hwp hwp_notify hwp_act_window hwp_epp hwp_pkg_req - - - - - - - hfi"
    )),
    Block(0x8000_000A, 0, "edx", 15, _names(
        "npt lbrv svm_lock nrip_save tsc_scale vmcb_clean flushbyasid decodeassists - - pausefilter - pfthreshold "
        "avic - v_vmsave_vmload vgif - x2avic - v_spec_ctrl - - - - vnmi"
    )),
    Block(0x8000_0007, 0, "ebx", 17, _names("overflow_recov succor - smca")),
    Block(0x8000_001F, 0, "eax", 19, _names("sme sev - sev_es sev_snp - - - - - - - - - debug_swap")),
)  # fmt: skip
"""All blocks, by number."""

_MIRRORED: Final = 0x0183_F3FF
"""Bits of leaf 1 EDX that AMD repeats in leaf 0x80000001 EDX; they are features of block 1 only."""

NAMES: Final[dict[int, str]] = {
    32 * number + bit: name.removeprefix("*")
    for number, block in enumerate(BLOCKS)
    for bit, name in enumerate(block.names)
    if name != _UNNAMED
}
"""Names by feature."""

_SHOWN: Final = {
    32 * number + bit: 32 * block.word + bit
    for number, block in enumerate(BLOCKS)
    for bit, name in enumerate(block.names)
    if name[0] not in "-*"
}
_NUMBERS: Final = {name: feature for feature, name in NAMES.items()} | {"clfushopt": 32 * 2 + 23, "pt": 32 * 2 + 25}


class FeatureError(ValueError):
    """No feature has this name."""


def feature(name: str) -> int:
    """Return the number of a feature by its exact name in /proc/cpuinfo; also of some that are never shown there.

    Raises: FeatureError.
    """
    found = _NUMBERS.get(name)
    if found is None:
        message = f"no feature is called {name!r}"
        raise FeatureError(message)
    return found


def feature_name(number: int) -> str:
    """Return a feature's name; one without says where it is. Raises: FeatureError outside of all blocks."""
    name = NAMES.get(number)
    if name is not None:
        return name
    if not 0 <= number < 32 * len(BLOCKS):
        message = f"there is no feature {number}"
        raise FeatureError(message)
    block = BLOCKS[number // 32]
    place = f"leaf {block.leaf:#x}/{block.subleaf} {block.register}"
    return f"<feature {number}: block {number // 32} ({place}) bit {number % 32}>"


def _synthetic(word: int, *names: tuple[int, str, str]) -> dict[str, tuple[int, str]]:
    return {name: (32 * word + bit, reason) for bit, name, reason in names}


_MODEL = "by vendor, family and model"
_MSR = "read from a model-specific register"
_LEAF = "CPUID leaf {}"

SYNTHETIC: Final[dict[str, tuple[int, str]]] = {
    **_synthetic(
        3,
        (8, "constant_tsc", "invariant TSC (leaf 0x80000007 EDX bit 8), or " + _MODEL),
        (9, "up", "one processor only"),
        (10, "art", _LEAF.format("0x15")),
        (11, "arch_perfmon", _LEAF.format("0xa")),
        (12, "pebs", _MSR),
        (13, "bts", _MSR),
        (16, "rep_good", _MODEL),
        (19, "acc_power", _LEAF.format("0x80000007 EDX bit 12")),
        (20, "nopl", "every 64-bit processor has it"),
        (22, "xtopology", _LEAF.format("0xb")),
        (23, "tsc_reliable", "by the hypervisor"),
        (24, "nonstop_tsc", _LEAF.format("0x80000007 EDX bit 8")),
        (25, "cpuid", "CPUID itself"),
        (26, "extd_apicid", "AMD " + _MODEL),
        (27, "amd_dcm", "AMD node topology"),
        (28, "aperfmperf", _LEAF.format("6 ECX bit 0")),
        (29, "rapl", _LEAF.format("0x80000007 EDX bit 14")),
        (30, "nonstop_tsc_s3", _MODEL),
        (31, "tsc_known_freq", _LEAF.format("0x15") + " or the hypervisor's clock"),
    ),
    **_synthetic(
        7,
        (0, "ring3mwait", _MSR),
        (1, "cpuid_fault", _MSR + " (MSR_PLATFORM_INFO)"),
        (2, "cpb", _LEAF.format("0x80000007 EDX bit 9")),
        (3, "epb", _LEAF.format("6 ECX bit 3")),
        (4, "cat_l3", _LEAF.format("0x10")),
        (5, "cat_l2", _LEAF.format("0x10")),
        (6, "cdp_l3", _LEAF.format("0x10")),
        (7, "tdx_host_platform", _MSR),
        (8, "hw_pstate", _LEAF.format("0x80000007 EDX bit 7")),
        (9, "proc_feedback", _LEAF.format("0x80000007 EDX bit 11")),
        (11, "pti", "a mitigation of Linux"),
        (14, "intel_ppin", _MSR),
        (15, "cdp_l2", _LEAF.format("0x10")),
        (17, "ssbd", "made of the vendors' bits"),
        (18, "mba", _LEAF.format("0x10")),
        (20, "perfmon_v2", _LEAF.format("0x80000022")),
        (25, "ibrs", "made of the vendors' bits"),
        (26, "ibpb", "made of the vendors' bits"),
        (27, "stibp", "made of the vendors' bits"),
        (30, "ibrs_enhanced", _MSR),
    ),
    **_synthetic(
        8,
        (0, "tpr_shadow", _MSR),
        (1, "flexpriority", _MSR),
        (2, "ept", _MSR),
        (3, "vpid", _MSR),
        (15, "vmmcall", "by the hypervisor"),
        (16, "xenpv", "by the hypervisor"),
        (17, "ept_ad", _MSR),
        (18, "vmcall", "by the hypervisor"),
        (19, "vmw_vmmcall", "by the hypervisor"),
        (22, "tdx_guest", "by the hypervisor"),
    ),
    **_synthetic(
        11,
        (0, "cqm_llc", _LEAF.format("0xf")),
        (1, "cqm_occup_llc", _LEAF.format("0xf")),
        (2, "cqm_mbm_total", _LEAF.format("0xf")),
        (3, "cqm_mbm_local", _LEAF.format("0xf")),
        (6, "split_lock_detect", _MSR),
        (7, "per_thread_mba", _LEAF.format("0x10")),
        (23, "user_shstk", "shstk, if Linux supports it for programs"),
    ),
}
"""Flags that Linux makes itself: the place in the flags line, and what from. No `FeatureSet` has them."""

DISABLED: Final[dict[str, str]] = {
    "amx_bf16": "AMX needs XSAVE components that a hypervisor or `clearcpuid=` may withhold",
    "amx_int8": "as amx_bf16",
    "amx_tile": "as amx_bf16",
    "arch_lbr": "dropped when its XSAVE component is missing",
    "bus_lock_detect": "kept to itself by split_lock_detect=off",
    "cqm": "dropped without a usable leaf 0xf",
    "enqcmd": "dropped without PASID support",
    "fred": "off unless `fred=on`",
    "hfi": "dropped without ACPI support",
    "hle": "TSX is turned off against its leaks",
    "hwp": "dropped by `intel_pstate=no_hwp`",
    "ibt": "dropped where the kernel is built without it",
    "intel_pt": "dropped where tracing is in use by the hypervisor",
    "la57": "off without five-level paging in the kernel or by `no5lvl`",
    "lam": "dropped while SLAM is unsafe",
    "mpx": "Linux gave it up in 5.6",
    "monitor": "dropped by quirks and `idle=`",
    "ospke": "on only once Linux has turned protection keys on",
    "pcid": "dropped by `nopcid`, or with INVLPG leaks",
    "pku": "off with `nopku`, or when CR4 does not take it",
    "pn": "the serial number is turned off at start",
    "rdseed": "dropped on AMD processors whose 32-bit form returns zeros",
    "rtm": "TSX is turned off against its leaks",
    "sev": "off unless the firmware has set it up",
    "sev_es": "as sev",
    "sev_snp": "as sev",
    "sgx": "off unless the firmware has locked it on",
    "sme": "off unless the firmware has set it up",
    "svm": "off when the firmware has locked it out",
    "umip": "dropped where the kernel is built without it",
    "virt_ssbd": "only where nothing better exists",
    "vmx": "off when the firmware has locked it out",
    "waitpkg": "dropped by hypervisors' quirks",
    "x2apic": "dropped by `nox2apic`",
    "xsaves": "dropped on processors with errata",
}
"""Flags that Linux may leave out although CPUID has them, and why."""


def flag_position(number: int) -> int | None:
    """Return a feature's place in the flags line; None for what is never shown."""
    return _SHOWN.get(number)


def mirrored(edx: int) -> int:
    """Return what AMD's leaf 0x80000001 EDX repeats of leaf 1 EDX."""
    return edx & _MIRRORED


def without_mirrored(edx: int) -> int:
    """Return leaf 0x80000001 EDX without what repeats leaf 1 EDX."""
    return edx & ~_MIRRORED
