"""Descriptions of processors through an image."""

import io

from sentry_cpuid import AMD, Cache, FeatureSet, Leaf, feature, host_features
from sentry_cpuid._state import register
from sentry_state import Reader, Registry, Writer


def test_feature_sets_come_back() -> None:
    """The host's and a made one are equal, and answer CPUID alike."""
    made = FeatureSet(
        AMD, 25, 1, 2, 1 << feature("avx"), caches=(Cache(1, 1, 64, 1, 8, 64),), xsave=((0, Leaf(7, 832, 832, 0)),)
    )
    registry, file = Registry(), io.BytesIO()
    register(registry)
    with Writer(file, registry=registry) as writer:
        writer.save("sets", [made, host_features()])
    file.seek(0)
    loaded = Reader(file, registry=registry).load("sets")
    assert loaded == [made, host_features()]
    assert loaded[0].has(feature("avx"))
