"""Set the workspace up in `.venv`: every library editable, native parts built, byte code written.

Run by the launchers when `.venv/.ready` is missing or older than a lock, a project file or a native source. Standard
library only: nothing else exists yet. Poetry lives in a virtual environment of its own inside `.venv`. Progress goes
to standard error; what the machine lacks is reported in one line.
"""

import compileall
import fcntl
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
READY = VENV / ".ready"
LOG = VENV / ".setup.log"
POETRY = VENV / ".poetry"
PINNED = ("poetry==2.5.1", "poetry-plugin-pypi-mirror==0.6.5")
PACKAGES = "apt-get install python3 python3-dev python3-venv gcc libc6-dev"

INDEX = (
    "from pip._internal.commands import create_command as c; "
    "print(c('install').parser.get_default_values().index_url or '')"
)
"""Where pip itself would fetch from: environment, configuration file or its built-in default."""


class SetupError(Exception):
    """Set-up cannot go on; the message is one line for the user."""


def say(text: str) -> None:
    """Report progress."""
    print(f"sentry set-up: {text}", file=sys.stderr, flush=True)


def environment() -> dict[str, str]:
    """Return the environment of the tools: no foreign virtual environment, no foreign module path."""
    foreign = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "POETRY_VIRTUALENVS_IN_PROJECT")
    return {name: value for name, value in os.environ.items() if name not in foreign}


def run(what: str, *argv: str | Path, extra: dict[str, str] | None = None) -> str:
    """Run a tool in the root, its output into the log; return its standard output.

    Raises: SetupError naming `what`, with the last line that the tool printed.
    """
    done = subprocess.run(
        [str(a) for a in argv], cwd=ROOT, env=environment() | (extra or {}), text=True, capture_output=True,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    with LOG.open("a") as log:
        log.write(f"$ {' '.join(map(str, argv[:6]))}\n{done.stdout}{done.stderr}\n")
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()
        message = f"{what} failed: {lines[-1].strip()} (see {LOG})"
        raise SetupError(message)
    return done.stdout


def check_machine() -> None:
    """Check for what Python packages cannot bring.

    Raises: SetupError.
    """
    if sys.version_info < (3, 11):
        message = f"Python 3.11 or later is needed, this is {sys.version.split()[0]}"
        raise SetupError(message)
    missing = []
    try:
        import ensurepip  # noqa: F401, PLC0415  (Debian splits it off; this is the test for it)
        import venv  # noqa: F401, PLC0415
    except ImportError:
        missing.append("Python's venv module (python3-venv)")
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        missing.append("Python's headers (python3-dev)")
    if not (shutil.which(os.environ.get("CC", "gcc")) or shutil.which("cc")):
        missing.append("a C compiler (gcc)")
    if missing:
        message = f"missing on this machine: {', '.join(missing)}; on Debian: {PACKAGES}"
        raise SetupError(message)


def make_environments() -> None:
    """Make `.venv` and Poetry's own environment inside it, where they are missing or were moved."""
    python = VENV / "bin" / "python"
    config = VENV / "pyvenv.cfg"
    # Scripts in a virtual environment hold absolute paths: a moved or copied checkout starts afresh.
    home = VENV / ".home"
    if config.exists() and (not home.exists() or home.read_text() != str(VENV)):
        say("the checkout has moved: starting afresh")
        for path in (POETRY, VENV / "bin", VENV / "lib", VENV / "lib64", VENV / "include"):
            if path.is_symlink():
                path.unlink()
            else:
                shutil.rmtree(path, ignore_errors=True)
        config.unlink()
    if not (config.exists() and python.exists()):
        say("making the virtual environment")
        run("making .venv", sys.executable, "-m", "venv", "--without-pip", VENV)
        home.write_text(str(VENV))
    stamp = POETRY / ".pinned"
    if not stamp.exists() or stamp.read_text() != " ".join(PINNED):
        say("fetching Poetry")
        run("making Poetry's environment", sys.executable, "-m", "venv", "--clear", POETRY)
        run("fetching Poetry", POETRY / "bin" / "python", "-m", "pip", "install", "--quiet", *PINNED)
        stamp.write_text(" ".join(PINNED))


def poetry(*arguments: str) -> None:
    """Run Poetry on the root, fetching from wherever pip would."""
    index = run("asking pip for its index", POETRY / "bin" / "python", "-c", INDEX).strip()
    extra = {
        "POETRY_PYPI_MIRROR_URL": index,
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "POETRY_CACHE_DIR": str(VENV / ".poetry-cache"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    certificate = os.environ.get("PIP_CERT")
    if certificate and not os.environ.get("REQUESTS_CA_BUNDLE"):
        extra["REQUESTS_CA_BUNDLE"] = certificate
    run(f"poetry {arguments[0]}", POETRY / "bin" / "poetry", "--no-interaction", *arguments, extra=extra)


def newest(paths: list[Path]) -> float:
    """Return the newest modification time of paths, in seconds; 0 for none."""
    return max((path.stat().st_mtime for path in paths), default=0.0)


def forget_vanished() -> None:
    """Uninstall what was installed from a folder that is gone: Poetry fails on it."""
    for record in VENV.glob("lib/python*/site-packages/*.dist-info/direct_url.json"):
        url = json.loads(record.read_text()).get("url", "")
        # A removed library may leave a folder with nothing but compiled files behind.
        if url.startswith("file://") and not (Path(url.removeprefix("file://")) / "pyproject.toml").exists():
            name = record.parent.name.partition("-")[0]
            (record.parent.parent / f"{name}.pth").unlink(missing_ok=True)
            shutil.rmtree(record.parent)


def sync() -> None:
    """Install what the lock names, when a lock or a project file is newer than the last time."""
    stamp = VENV / ".synced"
    sources = [ROOT / "poetry.lock", *ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("apps/*/pyproject.toml")]
    if stamp.exists() and newest(sources) < stamp.stat().st_mtime:
        return
    say("installing the locked packages")
    begun = time.time()
    forget_vanished()
    poetry("sync")
    stamp.touch()
    os.utime(stamp, (begun, begun))


def build_native() -> None:
    """Build each library's native part whose sources are newer than what was built, and drop foreign ones."""
    for script in sorted(ROOT.glob("libs/*/build_native.py")):
        folders = list(script.parent.glob("src/*/_native"))
        sources = [script, *(p for folder in folders for p in folder.glob("*.[chS]"))]
        if len(sources) == 1:
            continue
        built = [p for folder in folders for p in folder.glob("_lib.*.so")]
        own = [p for p in built if p.name == f"_lib{sysconfig.get_config_var('EXT_SUFFIX')}"]
        for path in set(built) - set(own):
            path.unlink()
        if own and newest(sources) < newest(own):
            continue
        say(f"building the native part of {script.parent.name}")
        run(f"building {script.parent.name}", VENV / "bin" / "python", script)


def compile_all() -> None:
    """Write byte code even where the environment forbids it: uncompiled modules cost 60 ms at every start."""
    folders = [*VENV.glob("lib/python*/site-packages"), *ROOT.glob("libs/*/src"), *ROOT.glob("apps/*/src")]
    for folder in folders:
        compileall.compile_dir(folder, quiet=2, workers=os.cpu_count() or 1)


def setup(*, lock: bool) -> None:
    """Do all of it, one process at a time; lock writes poetry.lock anew on the way.

    Raises: SetupError.
    """
    check_machine()
    if not os.access(VENV if VENV.exists() else ROOT, os.W_OK):
        message = (
            f"{VENV} is missing or out of date and this user may not write it: let its owner run tools/sentry once"
        )
        raise SetupError(message)
    VENV.mkdir(exist_ok=True)
    with (VENV / ".lock").open("w") as gate:
        try:
            fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up")
            fcntl.flock(gate, fcntl.LOCK_EX)
        begun = time.time()
        LOG.write_text("")
        make_environments()
        if lock:
            say("locking")
            poetry("lock")
        sync()
        build_native()
        compile_all()
        READY.touch()
        os.utime(READY, (begun, begun))
        say(f"ready after {time.time() - begun:.0f} s")


def main(arguments: list[str]) -> int:
    """Set up, or with `lock` write poetry.lock anew; return the exit status."""
    try:
        setup(lock=arguments == ["lock"])
    except SetupError as error:
        print(f"sentry set-up: {error}", file=sys.stderr)
        return 125
    except (OSError, KeyboardInterrupt) as error:
        print(f"sentry set-up: {type(error).__name__}: {error}", file=sys.stderr)
        return 125
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
