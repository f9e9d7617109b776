"""Sizes that this kernel has chosen as Linux does by default."""

from typing import Final

MMAP_MIN_ADDR: Final = 65536
"""Lowest address that can be mapped (vm.mmap_min_addr)."""
MAX_MAP_COUNT: Final = 65530
"""Areas of one address space (vm.max_map_count)."""
STACK_GUARD_GAP: Final = 256 << 12
"""Bytes that stay free below a stack."""
EAGER_STACK: Final = 8 << 20
"""How much of a stack is mapped at once."""
