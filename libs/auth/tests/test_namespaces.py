"""Id maps against a dictionary, user namespaces and their files."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sentry_auth as auth
from sentry_abi.capability import CAP_SETFCAP, CAP_SETUID, CAP_SYS_ADMIN
from sentry_abi.errors import EINVAL, ENOSPC, EPERM
from sentry_auth import INITIAL, KGID, KUID, NO_ID, Credentials, Extent, IdMap, UserNamespace

ROOT = auth.user_credentials(0, 0)
USER = auth.user_credentials(1000, 100)
SMALL = st.builds(Extent, st.integers(0, 40), st.integers(0, 40), st.integers(0, 6))


@given(st.lists(SMALL, max_size=8))
def test_map_against_a_dictionary(extents: list[Extent]) -> None:
    """Translation both ways and refusal as with a plain dictionary of single ids."""
    forward: dict[int, int] = {}
    pairs = [(first + i, lower + i) for first, lower, count in extents for i in range(count)]
    forward = dict(pairs)
    backward = {lower: first for first, lower in pairs}
    bad = any(not extent.length for extent in extents) or not len(pairs) == len(forward) == len(backward)
    try:
        made = IdMap(extents)
    except EINVAL:
        assert bad
        return
    assert not bad
    assert [made.down(i) for i in range(50)] == [forward.get(i, NO_ID) for i in range(50)]
    assert [made.up(i) for i in range(50)] == [backward.get(i, NO_ID) for i in range(50)]
    assert list(made.extents) == (extents if len(extents) <= 5 else sorted(extents))


def test_map_edges() -> None:
    """The last id is none; ranges are looked up whole."""
    with pytest.raises(EINVAL):
        IdMap([Extent(1, 1, NO_ID)])
    with pytest.raises(EINVAL):
        IdMap([Extent(-1, 0, 2)])
    with pytest.raises(EINVAL):
        IdMap([Extent(2 * i, i, 1) for i in range(341)])
    two = IdMap([Extent(10, 100, 5), Extent(15, 105, 5)])
    assert (two.down(10, 5), two.down(10, 6), two.down(15, 5), two.down(9)) == (100, NO_ID, 105, NO_ID)
    assert (two.up(99), two.up(110)) == (NO_ID, NO_ID)
    assert INITIAL.kuid(NO_ID) == NO_ID == INITIAL.uid(KUID(NO_ID))


def child(creds: Credentials = USER, uid_map: bytes = b"0 1000 1", gid_map: bytes = b"0 100 1") -> Credentials:
    """Make a user namespace, with maps written from its parent."""
    inside = auth.unshare_user(creds)
    writer = ROOT if creds.user_ns is INITIAL else creds
    auth.write_uid_map(inside.user_ns, uid_map, writer)
    auth.write_gid_map(inside.user_ns, gid_map, writer)
    return inside


def test_translation() -> None:
    """Shown ids overflow where they have no number; levels add up."""
    inside = child(uid_map=b"0 1000 10\n20 2000 10")
    deeper = auth.unshare_user(inside)
    auth.write_uid_map(deeper.user_ns, b"5 22 3", inside)
    namespace = deeper.user_ns
    assert namespace.kuid(6) == 2003
    assert namespace.uid(KUID(2003)) == 6
    assert (namespace.shown_uid(KUID(2003)), namespace.shown_uid(KUID(0))) == (6, 65534)
    assert (inside.user_ns.shown_gid(KGID(100)), namespace.shown_gid(KGID(100))) == (0, 65534)
    assert namespace.kgid(0) == NO_ID


def test_has_capability_in() -> None:
    """Own namespace by the effective set, below by inheritance, all for the owner; never upwards, never sideways."""
    inside, sibling = child(), child()
    deeper = child(inside, b"0 0 1", b"0 0 1")
    assert inside.has_capability_in(CAP_SYS_ADMIN, inside.user_ns)
    assert ROOT.has_capability_in(CAP_SYS_ADMIN, deeper.user_ns)
    assert not ROOT._replace(effective=0).has_capability_in(CAP_SYS_ADMIN, inside.user_ns)
    assert USER.has_capability_in(CAP_SYS_ADMIN, inside.user_ns), "the owner, from the parent"
    assert not USER._replace(euid=KUID(5)).has_capability_in(CAP_SYS_ADMIN, inside.user_ns)
    assert USER.has_capability_in(CAP_SYS_ADMIN, deeper.user_ns), "and from there on down"
    assert not inside.has_capability_in(CAP_SYS_ADMIN, INITIAL)
    assert not inside.has_capability_in(CAP_SYS_ADMIN, sibling.user_ns)
    assert not deeper.has_capability_in(CAP_SYS_ADMIN, inside.user_ns)
    assert [INITIAL.contains(other) for other in (INITIAL, deeper.user_ns, UserNamespace())] == [True, True, False]
    assert not deeper.user_ns.contains(inside.user_ns)


def test_depth() -> None:
    """33 nested namespaces and no more."""
    creds = ROOT
    for level in range(33):
        assert creds.user_ns.level == level
        creds = child(creds, b"0 0 1", b"0 0 1")
    with pytest.raises(ENOSPC):
        auth.unshare_user(creds)


def test_unshare_and_enter() -> None:
    """Inside everything is allowed; who has no number or is in a chroot gets no namespace."""
    old = USER._replace(inheritable=1, bounding=2, securebits=5)
    inside = auth.unshare_user(old)
    assert inside[9:15] == (auth.ALL_CAPS, auth.ALL_CAPS, 0, auth.ALL_CAPS, 0, 0)
    assert (inside.user_ns.owner, inside.user_ns.group, inside.uid) == (1000, 100, 1000)
    with pytest.raises(EPERM):
        auth.unshare_user(USER, chrooted=True)
    with pytest.raises(EPERM):
        auth.unshare_user(inside)
    assert auth.enter_user(ROOT, inside.user_ns).user_ns is inside.user_ns
    with pytest.raises(EINVAL):
        auth.enter_user(ROOT, INITIAL)
    with pytest.raises(EPERM):
        auth.enter_user(auth.user_credentials(5, 5), inside.user_ns)


def test_who_may_write_a_map() -> None:
    """The order of checks, the map that needs no privilege, user 0 of the parent."""
    inside = auth.unshare_user(USER)
    namespace = inside.user_ns
    with pytest.raises(EPERM):
        auth.write_uid_map(INITIAL, b"0 0 1", ROOT)
    with pytest.raises(EPERM):
        auth.write_uid_map(namespace, b"0 1000 1", auth.unshare_user(USER))
    for offset, text in ((1, b"0 1000 1"), (0, b"0 1000 1".ljust(4096))):
        with pytest.raises(EINVAL):
            auth.write_uid_map(namespace, text, USER, offset=offset)
    with pytest.raises(EPERM):
        auth.write_uid_map(namespace, b"junk", auth.user_credentials(5, 5))
    for text in (b"junk", b"", b"0 0 1\n" * 341, b"0 1000 1\n\n", b"0 1000\n1", b"0 1000 4294967296"):
        with pytest.raises(EINVAL):
            auth.write_uid_map(namespace, text, USER)
    for text in (b"0 1001 1", b"0 1000 2", b"0 1000 1\n1 1001 1", b"0 0 1"):
        with pytest.raises(EPERM):
            auth.write_uid_map(namespace, text, inside)
    with pytest.raises(EPERM):
        auth.write_uid_map(namespace, b"0 0 1", ROOT._replace(effective=auth.ALL_CAPS & ~(1 << CAP_SETFCAP)))
    with pytest.raises(EPERM):
        auth.write_uid_map(namespace, b"0 5 1", ROOT._replace(effective=auth.ALL_CAPS & ~(1 << CAP_SETUID)))
    with pytest.raises(EPERM):
        auth.write_uid_map(namespace, b"0 5 1", ROOT, opener=inside)
    assert not len(namespace.uid_map), "what fails leaves the map empty"
    assert auth.write_uid_map(namespace, b"7 1000 1\0what follows a NUL", inside) == 27
    with pytest.raises(EPERM):
        auth.write_uid_map(namespace, b"7 1000 1", ROOT)
    with pytest.raises(EPERM):
        auth.write_gid_map(namespace, b"7 100 1", inside)
    auth.write_setgroups(namespace, b"deny")
    assert auth.write_gid_map(namespace, b"7 100 1", inside) == 7
    by_root = auth.unshare_user(ROOT)
    assert auth.write_uid_map(by_root.user_ns, b"0 0 1", by_root) == 5
    assert by_root.user_ns.kuid(0) == 0


def test_map_must_fit_the_parents() -> None:
    """An extent has to lie inside one of the parent's."""
    inside = child(uid_map=b"0 1000 10\n10 1010 10")
    deeper = auth.unshare_user(inside)
    for text in (b"0 5 10", b"0 20 1"):
        with pytest.raises(EPERM):
            auth.write_uid_map(deeper.user_ns, text, inside)
    assert auth.write_uid_map(deeper.user_ns, b"0 5 5\n5 10 10", inside) == 13
    assert deeper.user_ns.kuid(6) == 1011


def test_reading_maps() -> None:
    """Columns are in the reader's numbers; what he has no number for is 4294967295."""
    inside = child(uid_map=b"0 1000 2\n2 2000 1")
    sibling = child(uid_map=b"5 2000 1")
    row = "{:>10} {:>10} {:>10}\n".format
    outside = row(0, 1000, 2) + row(2, 2000, 1)
    assert auth.read_uid_map(inside.user_ns, INITIAL).decode() == outside
    assert auth.read_uid_map(inside.user_ns, inside.user_ns).decode() == outside
    assert auth.read_uid_map(inside.user_ns, sibling.user_ns).decode() == row(0, NO_ID, 2) + row(2, 5, 1)
    assert auth.read_gid_map(inside.user_ns, INITIAL).decode() == row(0, 100, 1)
    assert auth.read_gid_map(INITIAL, INITIAL).decode() == row(0, 0, NO_ID)


def test_setgroups_file() -> None:
    """Denying is for good, inherited, and too late once gid_map is set."""
    namespace = auth.unshare_user(USER).user_ns
    assert auth.read_setgroups(namespace) == b"allow\n"
    for wrong, offset in ((b"maybe", 0), (b" deny", 0), (b"deny    ", 0), (b"deny", 1), (b"", 0)):
        with pytest.raises(EINVAL):
            auth.write_setgroups(namespace, wrong, offset)
    assert auth.write_setgroups(namespace, b"allow\n") == 6
    assert auth.write_setgroups(namespace, b"deny\0x") == 6
    assert auth.read_setgroups(namespace) == b"deny\n"
    with pytest.raises(EPERM):
        auth.write_setgroups(namespace, b"allow")
    assert not UserNamespace(namespace).setgroups_allowed
    with pytest.raises(EPERM):
        auth.write_setgroups(child().user_ns, b"deny")


def test_one_writer_wins() -> None:
    """Of eight threads that set a map at once one succeeds, and readers see all of its map or none."""
    for _ in range(20):
        namespace = auth.unshare_user(USER).user_ns
        barrier = threading.Barrier(8)
        won: list[int] = []

        def write(number: int, namespace: UserNamespace = namespace, barrier: threading.Barrier = barrier) -> None:
            text = b"".join(b"%d %d 1\n" % (i, number * 100 + i) for i in range(50))
            barrier.wait()
            try:
                auth.write_uid_map(namespace, text, ROOT)
            except EPERM:
                return
            won.append(number)  # noqa: B023  (the thread ends within the round)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (winner,) = won
        assert [namespace.kuid(i) for i in range(50)] == [winner * 100 + i for i in range(50)]


def test_readme_example() -> None:
    """Run it."""
    text = (Path(__file__).parent.parent / "README.md").read_text()
    exec(compile(text.split("```python\n")[1].split("```")[0], "README.md", "exec"), {})  # noqa: S102  (our own README)
