"""Credentials and their changes, without a host: tables of results, rules that hold always."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sentry_auth as auth
from sentry_abi import capability as caps
from sentry_abi.errors import EINVAL, EPERM
from sentry_auth import ALL_CAPS, KGID, KUID, NO_ID, Credentials, FileCapabilities, FilePrivileges, securebits

ROOT = auth.user_credentials(0, 0)
USER = auth.user_credentials(1000, 100, (7, 5))
BIT = {number: 1 << number for number in range(41)}
FILES = BIT[caps.CAP_CHOWN] | BIT[caps.CAP_DAC_OVERRIDE]


def user(**fields: object) -> Credentials:
    """Return a user's credentials with some fields other."""
    return USER._replace(**fields)  # type: ignore[arg-type]


def nested() -> Credentials:
    """Return credentials in a user namespace where 0 to 9 are users 1000 to 1009, groups 100 to 109."""
    inside = auth.unshare_user(USER)
    auth.write_uid_map(inside.user_ns, b"0 1000 10", ROOT)
    auth.write_gid_map(inside.user_ns, b"0 100 10", ROOT)
    return inside


def ids(creds: Credentials) -> tuple[int, int, int, int]:
    """Return the user ids."""
    return creds.uid, creds.euid, creds.suid, creds.fsuid


def gids(creds: Credentials) -> tuple[int, int, int, int]:
    """Return the group ids."""
    return creds.gid, creds.egid, creds.sgid, creds.fsgid


def test_makers() -> None:
    """Root has all capabilities, a user none, anonymous credentials no rights anywhere."""
    assert (ROOT.permitted, ROOT.effective, ROOT.bounding, ROOT.inheritable) == (ALL_CAPS, ALL_CAPS, ALL_CAPS, 0)
    assert (USER.permitted, USER.effective, USER.bounding) == (0, 0, ALL_CAPS)
    assert USER.groups == (5, 7)
    assert auth.user_credentials(5, 5, caps=3).effective == 3
    anonymous = auth.anonymous_credentials()
    assert (anonymous.uid, anonymous.fsgid) == (65534, 65534)
    assert not anonymous.capable(0)
    assert not ROOT.has_capability_in(0, anonymous.user_ns)
    inside = nested()
    assert ids(auth.root_credentials(inside.user_ns)) == (1000,) * 4
    with pytest.raises(ValueError, match="no root"):
        auth.root_credentials(auth.UserNamespace(auth.INITIAL))


def test_groups() -> None:
    """The filesystem group counts for files, the effective one elsewhere, others for both."""
    creds = user(fsgid=KGID(1), egid=KGID(2))
    assert [creds.in_group(gid) for gid in (1, 2, 5)] == [True, False, True]
    assert [creds.in_effective_group(gid) for gid in (1, 2, 5)] == [False, True, True]


USER_TABLE: list[tuple[str, tuple[int, ...], object]] = [
    ("setuid", (1000,), (1000, 1000, 7, 1000)),
    ("setuid", (7,), (1000, 7, 7, 7)),
    ("setuid", (5,), EPERM),
    ("setuid", (NO_ID,), EINVAL),
    ("setreuid", (5, NO_ID), (5, 5, 5, 5)),
    ("setreuid", (7, NO_ID), EPERM),
    ("setreuid", (NO_ID, 7), (1000, 7, 7, 7)),
    ("setreuid", (NO_ID, 1000), (1000, 1000, 7, 1000)),
    ("setreuid", (1000, 1000), (1000, 1000, 1000, 1000)),
    ("setreuid", (NO_ID, 0), EPERM),
    ("setresuid", (7, 1000, 5), (7, 1000, 5, 1000)),
    ("setresuid", (NO_ID, NO_ID, NO_ID), (1000, 5, 7, 5)),
    ("setresuid", (NO_ID, NO_ID, 0), EPERM),
    ("setfsuid", (7,), (1000, 5, 7, 7)),
    ("setfsuid", (8,), (1000, 5, 7, 5)),
    ("setfsuid", (NO_ID,), (1000, 5, 7, 5)),
]


@pytest.mark.parametrize(("name", "args", "expected"), USER_TABLE)
def test_ids_without_privilege(name: str, args: tuple[int, ...], expected: object) -> None:
    """Real 1000, effective 5, saved 7, no capability; users and groups alike."""
    creds = user(euid=KUID(5), suid=KUID(7), fsuid=KUID(5))
    group = user(gid=KGID(1000), egid=KGID(5), sgid=KGID(7), fsgid=KGID(5))
    twin = name.replace("uid", "gid")
    if isinstance(expected, type):
        for change, old in ((name, creds), (twin, group)):
            with pytest.raises(expected):
                getattr(auth, change)(old, *args)
        return
    assert ids(getattr(auth, name)(creds, *args)) == expected
    assert gids(getattr(auth, twin)(group, *args)) == expected


def test_ids_with_privilege() -> None:
    """Root sets everything, and unchanged ids give the same object."""
    assert ids(auth.setuid(ROOT, 5)) == (5,) * 4
    assert gids(auth.setgid(ROOT, 5)) == (5,) * 4
    assert ids(auth.setreuid(ROOT, 5, 6)) == (5, 6, 6, 6)
    assert gids(auth.setregid(ROOT, 5, 6)) == (5, 6, 6, 6)
    assert ids(auth.setresuid(ROOT, 5, 6, 7)) == (5, 6, 7, 6)
    assert gids(auth.setresgid(ROOT, 5, 6, 7)) == (5, 6, 7, 6)
    assert auth.setfsgid(ROOT, 5).fsgid == 5
    for name in ("setuid", "setgid", "setfsuid", "setfsgid"):
        assert getattr(auth, name)(ROOT, 0) is ROOT
    for name in ("setresuid", "setresgid"):
        assert getattr(auth, name)(ROOT, NO_ID, NO_ID, NO_ID) is ROOT
        apart = ROOT._replace(**{"fsuid" if name == "setresuid" else "fsgid": 5})
        assert getattr(auth, name)(apart, 0, NO_ID, 0) is apart, "nothing named changes: the filesystem id stays apart"
        assert getattr(auth, name)(apart, NO_ID, 0, NO_ID) == ROOT


def test_ids_in_a_namespace() -> None:
    """Numbers are those of the namespace; what has none there is refused."""
    inside = nested()
    assert ids(auth.setuid(inside, 3)) == (1003,) * 4
    assert gids(auth.setgid(inside, 3)) == (103,) * 4
    for name in ("setuid", "setgid"):
        with pytest.raises(EINVAL):
            getattr(auth, name)(inside, 10)
    assert auth.setfsuid(inside, 10) is inside
    assert auth.setfsgid(inside, 10) is inside
    assert auth.setuid(inside, 3).permitted == 0, "user 1000 is root there"


def test_setgroups() -> None:
    """Groups are sorted; it takes CAP_SETGID, a mapped gid_map and no denial."""
    assert auth.setgroups(ROOT, [3, 1, 2]).groups == (1, 2, 3)
    assert auth.setgroups(ROOT, []) is ROOT
    with pytest.raises(EPERM):
        auth.setgroups(USER, [])
    with pytest.raises(EINVAL):
        auth.setgroups(ROOT, [NO_ID])
    with pytest.raises(EINVAL):
        auth.setgroups(ROOT, range(auth.NGROUPS_MAX + 1))
    fresh = auth.unshare_user(USER)
    assert not auth.may_setgroups(fresh)
    assert auth.setgroups(nested(), [1]).groups == (101,)


def test_capabilities_after_a_change_of_user() -> None:
    """The four rules of capabilities(7), keep-caps, and the bit that turns the rules off."""
    left = auth.setuid(ROOT._replace(inheritable=1, ambient=1), 5)
    assert (left.permitted, left.effective, left.ambient) == (0, 0, 0)
    kept = auth.setuid(auth.set_keep_caps(ROOT._replace(inheritable=1, ambient=1), 1), 5)
    assert (kept.permitted, kept.effective, kept.ambient) == (ALL_CAPS, 0, 0)
    away = auth.setresuid(ROOT, NO_ID, 5, NO_ID)
    assert (away.permitted, away.effective) == (ALL_CAPS, 0)
    assert auth.setresuid(away, NO_ID, 0, NO_ID).effective == ALL_CAPS
    fixed = auth.setuid(auth.set_securebits(ROOT, securebits.NO_SETUID_FIXUP), 5)
    assert fixed.effective == ALL_CAPS
    file_user = auth.setfsuid(ROOT, 5)
    assert ROOT.effective & ~file_user.effective & FILES == FILES
    assert file_user.effective & BIT[caps.CAP_SETUID]
    assert auth.setfsuid(file_user, 0).effective == ALL_CAPS
    assert auth.setfsuid(file_user, 6).effective == file_user.effective
    assert auth.setfsuid(auth.set_securebits(ROOT, securebits.NO_SETUID_FIXUP), 5).effective == ALL_CAPS


def test_capset() -> None:
    """What may grow and what may not."""
    some = user(permitted=0b111, effective=0b011, inheritable=0b001, ambient=0b001)
    assert auth.capset(some, 0b110, 0b010, 0b100)[9:14] == (0b110, 0b100, 0b010, ALL_CAPS, 0)
    assert auth.capset(some, 0b111 | 1 << 63, 0b001, 0b111).permitted == 0b111
    for wanted in ((0b1111, 0, 0), (0b011, 0, 0b100), (0b111, 0b1000, 0)):
        with pytest.raises(EPERM):
            auth.capset(some, *wanted)
    setpcap = BIT[caps.CAP_SETPCAP]
    able = user(permitted=setpcap, effective=setpcap, bounding=0b10)
    assert auth.capset(able, setpcap, 0b10, 0).inheritable == 0b10
    with pytest.raises(EPERM):
        auth.capset(able, setpcap, 0b100, 0)


def test_bounding_and_ambient() -> None:
    """Dropping takes CAP_SETPCAP; ambient must be permitted and inheritable."""
    assert auth.drop_bounding(ROOT, 3).bounding == ALL_CAPS & ~0b1000
    with pytest.raises(EPERM):
        auth.drop_bounding(USER, 99)
    for wrong in (41, -1, 64):
        with pytest.raises(EINVAL):
            auth.drop_bounding(ROOT, wrong)
    some = user(permitted=0b110, inheritable=0b011)
    raised = auth.raise_ambient(some, 1)
    assert raised.ambient == 0b010
    assert auth.lower_ambient(raised, 1).ambient == 0
    assert auth.clear_ambient(raised).ambient == 0
    for number in (0, 2):
        with pytest.raises(EPERM):
            auth.raise_ambient(some, number)
    with pytest.raises(EPERM):
        auth.raise_ambient(some._replace(securebits=securebits.NO_CAP_AMBIENT_RAISE), 1)


def test_securebits() -> None:
    """Locks hold, unknown bits are refused, two bits need no privilege."""
    locked = auth.set_securebits(ROOT, securebits.NOROOT | securebits.NOROOT_LOCKED)
    for bits in (0, securebits.NOROOT, securebits.NOROOT_LOCKED, locked.securebits | 1 << 12):
        with pytest.raises(EPERM):
            auth.set_securebits(locked, bits)
    with pytest.raises(EPERM):
        auth.set_securebits(USER, securebits.NOROOT)
    with pytest.raises(EPERM):
        auth.set_securebits(USER, 0)
    assert auth.set_securebits(USER, securebits.EXEC_RESTRICT_FILE).securebits == 1 << 8
    assert auth.set_keep_caps(USER, 1).securebits == securebits.KEEP_CAPS
    assert auth.set_keep_caps(auth.set_keep_caps(USER, 1), 0) == USER
    with pytest.raises(EINVAL):
        auth.set_keep_caps(USER, 2)
    with pytest.raises(EPERM):
        auth.set_keep_caps(user(securebits=securebits.KEEP_CAPS_LOCKED), 1)


def test_dumpable() -> None:
    """Other effective ids, more capabilities, or another namespace's make a process undumpable."""
    assert auth.loses_dumpable(ROOT, auth.setresuid(ROOT, NO_ID, 5, NO_ID))
    assert not auth.loses_dumpable(ROOT, auth.setresuid(ROOT, 5, NO_ID, NO_ID))
    assert not auth.loses_dumpable(ROOT, ROOT._replace(permitted=0))
    assert auth.loses_dumpable(USER, user(permitted=1))
    inside = auth.unshare_user(USER)
    assert not auth.loses_dumpable(USER, inside)
    assert auth.loses_dumpable(ROOT, auth.enter_user(ROOT, inside.user_ns))


# -- execve

SUID_ROOT = FilePrivileges(0o4755, KUID(0), KGID(0))


def with_caps(permitted: int, inheritable: int = 0, *, effective: bool = False, root_id: int = 0) -> FilePrivileges:
    """Return a file with an attribute."""
    return FilePrivileges(0o755, capabilities=FileCapabilities(permitted, inheritable, effective, root_id).to_bytes())


def test_exec_plain() -> None:
    """A plain program leaves a user as he is, and root with everything."""
    assert auth.exec_credentials(USER) == (USER, False)
    assert auth.exec_credentials(USER).creds is USER
    assert auth.exec_credentials(ROOT).creds is ROOT
    assert auth.exec_credentials(USER, no_new_privs=True).creds is USER
    ambient = user(permitted=0b11, effective=0b10, inheritable=0b01, ambient=0b01)
    assert auth.exec_credentials(ambient).creds[9:14] == (0b01, 0b01, 0b01, ALL_CAPS, 0b01)
    assert auth.exec_credentials(auth.set_keep_caps(USER, 1)).creds == USER
    bounded = auth.exec_credentials(ROOT._replace(bounding=0b10, inheritable=0b01)).creds
    assert bounded.permitted == bounded.effective == 0b11
    real = ROOT._replace(euid=KUID(5), suid=KUID(5), fsuid=KUID(5), effective=0)
    assert auth.exec_credentials(real).creds[9:11] == (ALL_CAPS, 0)
    assert auth.exec_credentials(auth.set_securebits(ROOT, securebits.NOROOT)).creds.permitted == 0


def test_exec_of_impossible_credentials() -> None:
    """Ambient capabilities that are not permitted are our own mistake."""
    with pytest.raises(ValueError, match="ambient"):
        auth.exec_credentials(user(ambient=1))


def test_exec_set_id_bits() -> None:
    """They change effective, saved and filesystem ids; a group needs its execute bit."""
    new, secure = auth.exec_credentials(USER, SUID_ROOT)
    assert (ids(new), new.effective, secure) == ((1000, 0, 0, 0), ALL_CAPS, True)
    new, secure = auth.exec_credentials(USER, FilePrivileges(0o2755, KUID(0), KGID(9)))
    assert (gids(new), ids(new), secure) == ((100, 9, 9, 9), (1000,) * 4, True)
    assert auth.exec_credentials(USER, FilePrivileges(0o2745, KUID(0), KGID(9))).creds is USER
    assert auth.exec_credentials(USER, SUID_ROOT, no_new_privs=True) == (USER, False)
    assert auth.exec_credentials(nested(), FilePrivileges(0o4755, KUID(0), KGID(100))).creds.euid == 1000
    assert auth.exec_credentials(nested(), FilePrivileges(0o4755, KUID(1001), KGID(5))).creds.euid == 1000
    assert auth.exec_credentials(nested(), FilePrivileges(0o4755, KUID(1001), KGID(105))).creds.euid == 1001


def test_exec_in_danger() -> None:
    """With a tracer or a stranger in its filesystem context a program gains nothing."""
    new, secure = auth.exec_credentials(USER, SUID_ROOT, unsafe=True)
    assert (ids(new), new.permitted, secure) == ((1000,) * 4, 0, True)
    able = user(permitted=BIT[caps.CAP_SETUID], effective=BIT[caps.CAP_SETUID])
    new, _ = auth.exec_credentials(able, SUID_ROOT, unsafe=True)
    assert (new.euid, new.permitted) == (0, BIT[caps.CAP_SETUID])
    assert auth.exec_credentials(USER, with_caps(0b11), no_new_privs=True).creds.permitted == 0


def test_exec_file_capabilities() -> None:
    """Permitted ones come from the bounding set, inheritable ones from the own, ambient ones go."""
    some = user(bounding=0b0110, inheritable=0b1000, permitted=0b1000, ambient=0b1000)
    new, secure = auth.exec_credentials(some, with_caps(0b0011, 0b1100))
    assert (new[9:14], secure) == ((0b1010, 0, 0b1000, 0b0110, 0), True)
    with pytest.raises(EPERM):
        auth.exec_credentials(some, with_caps(0b0011, effective=True))
    new, secure = auth.exec_credentials(some, with_caps(0b0010, effective=True))
    assert (new.permitted, new.effective, secure) == (0b0010, 0b0010, True)
    with pytest.raises(EINVAL):
        auth.exec_credentials(USER, FilePrivileges(capabilities=b"x"))
    mixed = with_caps(0b1)._replace(mode=0o4755)
    new, _ = auth.exec_credentials(USER, mixed)
    assert (new.euid, new.permitted, new.effective) == (0, 0b1, 0), "set-uid root and file capabilities: no extra"


def test_exec_root_id() -> None:
    """A revision 3 attribute counts only where its root id is root."""
    foreign = with_caps(0b1, effective=True, root_id=1000)
    assert auth.exec_credentials(user(uid=KUID(5)), foreign).creds.permitted == 0
    assert auth.exec_credentials(auth.setuid(nested(), 3), foreign).creds.effective == 0b1


def test_attribute_forms() -> None:
    """Revisions 1 to 3, their lengths, unknown bits and flags."""
    one = (0x0100_0001).to_bytes(4, "little") + b"\3\0\0\0\4\0\0\0"
    assert FileCapabilities.parse(one) == (3, 4, True, 0)
    two = FileCapabilities(1 << 40 | 1, 1 << 33, effective=False)
    assert len(two.to_bytes()) == 20
    three = FileCapabilities(1 << 40 | 1, 1 << 33, effective=True, root_id=7)
    assert len(three.to_bytes()) == 24
    for value in (two, three):
        assert FileCapabilities.parse(value.to_bytes()) == value
    assert FileCapabilities.parse(FileCapabilities(1 << 63).to_bytes()).permitted == 0
    for wrong in (b"", b"\0\0\0\1", one[:-1], one + b"\0" * 8, b"\0\0\0\4" + b"\0" * 20):
        with pytest.raises(EINVAL):
            FileCapabilities.parse(wrong)


SETS = st.integers(0, ALL_CAPS)
STATES = st.builds(
    Credentials, *[st.sampled_from([KUID(0), KUID(1), KUID(1000)])] * 8, groups=st.just(()), permitted=SETS,
    effective=SETS, inheritable=SETS, bounding=SETS, ambient=SETS, securebits=st.integers(0, 0xFF),
).map(
    lambda c: c._replace(
        effective=c.effective & c.permitted, ambient=c.ambient & c.permitted & c.inheritable, user_ns=auth.INITIAL
    )
)  # fmt: skip


@given(STATES, st.binary(max_size=24) | st.none(), st.integers(0, 0o7777))
def test_exec_never_gains_without_new_privileges(creds: Credentials, attribute: bytes | None, mode: int) -> None:
    """Under no_new_privs: no capability and no id that was not there."""
    try:
        new, _ = auth.exec_credentials(creds, FilePrivileges(mode, KUID(3), KGID(3), attribute), no_new_privs=True)
    except (EINVAL, EPERM):
        return
    assert new.permitted & ~creds.permitted == 0
    assert new.effective & ~new.permitted == 0
    assert {new.euid, new.egid} <= {creds.uid, creds.euid, creds.gid, creds.egid}
