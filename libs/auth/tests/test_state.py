"""Credentials and user namespaces through an image."""

import io

import pytest

from sentry_abi.capability import CAP_SYS_ADMIN
from sentry_auth import (
    ALL_CAPS,
    INITIAL,
    KGID,
    KUID,
    Credentials,
    Extent,
    IdMap,
    UserNamespace,
    setresuid,
    unshare_user,
    user_credentials,
)
from sentry_auth._state import EXTERNALS, register
from sentry_state import LoadError, Reader, Registry, Writer


def through_an_image(graph: object) -> object:
    """Save and load a graph."""
    registry, file = Registry(), io.BytesIO()
    register(registry)
    with Writer(file, registry=registry) as writer:
        writer.save("graph", graph, EXTERNALS)
    file.seek(0)
    reader = Reader(file, registry=registry)
    loaded = reader.load("graph", EXTERNALS)
    reader.finish()
    return loaded


def test_credentials_come_back() -> None:
    """All fields are equal, and the initial namespace is the one there is."""
    creds = user_credentials(7, 8, (30, 20), 5)._replace(securebits=3, ambient=1, inheritable=1)
    loaded = through_an_image([creds, creds])
    assert isinstance(loaded, list)
    assert loaded[0] is loaded[1]
    assert loaded[0] == creds
    assert isinstance(loaded[0], Credentials)
    assert loaded[0].user_ns is INITIAL


def test_namespaces_stay_a_tree() -> None:
    """Maps translate as before, parents are the same objects, and rights over children hold."""
    inner = unshare_user(user_credentials(1000, 1000)).user_ns
    inner.uid_map = IdMap([Extent(0, 1000, 1), Extent(10, 2000, 50)])
    inner.gid_map = IdMap(Extent(n * 10, 5000 - n * 10, 10) for n in range(30))
    inner.setgroups_allowed = False
    child = UserNamespace(inner, KUID(1000), KGID(1000), parent_could_setfcap=True)
    root = user_credentials(1000, 1000, caps=ALL_CAPS, user_ns=inner)
    loaded = through_an_image([inner, child, root])
    assert isinstance(loaded, list)
    copy, lower, creds = loaded
    assert lower.parent is copy
    assert creds.user_ns is copy
    assert copy.parent is INITIAL
    assert (copy.level, copy.owner, copy.setgroups_allowed, lower.parent_could_setfcap) == (1, 1000, False, True)
    for number in (0, 1, 9, 10, 59, 60, 4990, 5000):
        assert copy.kuid(number) == inner.kuid(number)
        assert copy.uid(KUID(number)) == inner.uid(KUID(number))
        assert copy.kgid(number) == inner.kgid(number)
    assert copy.gid_map.extents == inner.gid_map.extents
    assert creds.has_capability_in(CAP_SYS_ADMIN, lower)
    assert not creds.has_capability_in(CAP_SYS_ADMIN, INITIAL)
    assert setresuid(creds, 10, 10, 10).uid == 2000


def test_maps_that_are_none() -> None:
    """Extents that overlap are refused when they are loaded, too."""
    bad = IdMap()
    bad.extents = (Extent(0, 0, 5), Extent(3, 9, 5))
    with pytest.raises(LoadError):
        through_an_image(bad)
