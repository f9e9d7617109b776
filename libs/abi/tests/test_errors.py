"""The errno classes against the host's own table."""

import errno

from sentry_abi import errors


def test_every_number_of_the_host_has_a_class() -> None:
    """A class per number, named as the host names it or by an alias of that name."""
    for number, name in errno.errorcode.items():
        cls = errors.BY_NUMBER[number]
        assert cls.errno == number
        assert getattr(errors, name) is cls
    assert set(errors.BY_NUMBER) <= set(errno.errorcode)


def test_from_host_translates_and_falls_back_to_eio() -> None:
    """What the host says becomes the same number for the guest."""
    assert type(errors.from_host(FileNotFoundError(errno.ENOENT, "gone"))) is errors.ENOENT
    assert type(errors.from_host(OSError())) is errors.EIO


def test_text_names_the_symbol() -> None:
    """An error in a log is readable."""
    assert str(errors.ENOENT()) == "ENOENT"
    assert str(errors.ENOENT("no lib")) == "ENOENT: no lib"
    assert not issubclass(errors.LinuxError, OSError)


def test_restart_codes_stand_apart() -> None:
    """Linux include/linux/errno.h: no number of theirs is one of an error, and neither class is the other."""
    codes = {cls.__name__: cls.code for cls in errors.RestartError.__subclasses__()}
    assert codes == {"ERESTARTSYS": 512, "ERESTARTNOINTR": 513, "ERESTARTNOHAND": 514, "ERESTART_RESTARTBLOCK": 516}
    assert not set(codes.values()) & set(errors.BY_NUMBER)
    assert not issubclass(errors.RestartError, errors.LinuxError)
    assert not hasattr(errors.RestartError, "errno")
