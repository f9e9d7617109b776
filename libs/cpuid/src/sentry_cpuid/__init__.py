"""CPU feature sets: native CPUID, names as in /proc/cpuinfo, compatibility. Floor 3."""

from sentry_cpuid._cpu import Leaf, cpuid
from sentry_cpuid._features import BLOCKS, DISABLED, NAMES, SYNTHETIC, Block, FeatureError, feature, feature_name
from sentry_cpuid._set import (
    AMD,
    INTEL,
    Cache,
    DescriptionError,
    ExtendedState,
    FeatureSet,
    IncompatibleError,
    Query,
    host_features,
    host_mhz,
)

__all__ = [
    "AMD",
    "BLOCKS",
    "DISABLED",
    "INTEL",
    "NAMES",
    "SYNTHETIC",
    "Block",
    "Cache",
    "DescriptionError",
    "ExtendedState",
    "FeatureError",
    "FeatureSet",
    "IncompatibleError",
    "Leaf",
    "Query",
    "cpuid",
    "feature",
    "feature_name",
    "host_features",
    "host_mhz",
]
