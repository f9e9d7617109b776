class _Pointer:
    def __getitem__(self, index: int, /) -> int: ...

class _Lib:
    def ks_cpuid(self, leaf: int, subleaf: int, registers: _Pointer, /) -> None: ...

class _FFI:
    def new(self, kind: str, /) -> _Pointer: ...

lib: _Lib
ffi: _FFI
