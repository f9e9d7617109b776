"""Everything that this library raises.

StateError
|- RegistrationError       a class or a value is declared in a way that cannot work: a mistake in the program
|- SaveError               the graph holds something that cannot be saved; the message says where
`- LoadError               the image cannot be loaded; nothing of it is used
   |- NotAnImageError      it begins with something else
   |- TruncatedError       it ends too early
   |- DamagedError         a checksum or a key does not fit
   |- MalformedError       the checksums fit, the content makes no sense
   |- LimitError           it is larger than the reader allows
   |- UnknownTypeError     it names a class or a value that is not registered
   |- NewerVersionError    it was written by a newer program
   |- OlderVersionError    it was written by an older program, and the class has no upgrade from there
   |- MissingExternalError it needs a live object that the caller did not supply
   |- WaitCycleError       hooks after loading wait for each other; the message shows the circle
   `- HookError            a hook or an upgrade of a registered class failed; its own error is the cause
"""


class StateError(Exception):
    """Any failure of this library."""


class RegistrationError(StateError):
    """A class or a value is registered in a way that cannot work."""


class SaveError(StateError):
    """The graph holds something that cannot be saved."""


class LoadError(StateError):
    """The image cannot be loaded."""


class NotAnImageError(LoadError):
    """The stream does not begin as an image does."""


class TruncatedError(LoadError):
    """The stream ends before the image does."""


class DamagedError(LoadError):
    """A checksum does not fit, or the key is another one."""


class MalformedError(LoadError):
    """The checksums fit and the content makes no sense."""


class LimitError(LoadError):
    """The image is larger than the reader allows."""


class UnknownTypeError(LoadError):
    """The image names a class or a value that is not registered."""


class NewerVersionError(LoadError):
    """The image was written by a newer program."""


class OlderVersionError(LoadError):
    """The image was written by an older program, and nothing upgrades it."""


class MissingExternalError(LoadError):
    """The image needs a live object that the caller did not supply."""


class WaitCycleError(LoadError):
    """Hooks after loading wait for each other."""


class HookError(LoadError):
    """A hook or an upgrade of a registered class failed."""
