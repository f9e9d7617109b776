"""Every distribution alone: wheels of all, then each installed with its own needs only, imported and tested.

`--no-index --find-links` on our own wheels and on those that the workspace has: a missing sibling fails instead of
fetching another package of that name.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.house.workspace import ROOT, Package, packages

TESTING = ("pytest", "hypothesis", "setuptools", "cffi")


def third_party(found: list[Package]) -> list[str]:
    """Return the requirements of all packages that are not ours, in one list."""
    lines = [line for package in found for line in package.project["project"].get("dependencies", [])]
    return sorted({line for line in lines if not line.startswith("sentry-")})


def install(python: Path, *arguments: str) -> None:
    """Run pip of Poetry's environment for another Python; raises CalledProcessError."""
    pip = ROOT / ".venv" / ".poetry" / "bin" / "python"
    argv = [str(pip), "-m", "pip", f"--python={python}", "install", "--quiet", *arguments]
    subprocess.run(argv, check=True, capture_output=True, text=True)


def prove(package: Package, wheels: Path, scratch: Path) -> str:
    """Install one package from wheels into a new environment and run its tests there; return the failure or ''."""
    home = scratch / package.name
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    python = home / "bin" / "python"
    tests = scratch / f"{package.name}-tests"
    shutil.copytree(package.folder, tests, ignore=shutil.ignore_patterns("src", "*.so", "__pycache__"))
    try:
        install(python, "--no-index", "--find-links", str(wheels), package.distribution, *TESTING)
    except subprocess.CalledProcessError as error:
        return f"does not install alone: {error.stderr.strip().splitlines()[-1]}"
    probe = subprocess.run(
        [str(python), "-I", "-c", f"import {package.module}"], capture_output=True, text=True, check=False
    )
    if probe.returncode:
        return f"does not import alone: {probe.stderr.strip().splitlines()[-1]}"
    argv = [str(python), "-m", "pytest", "-q", "--import-mode=importlib", "-W", "error", "-p", "no:cacheprovider", "."]
    done = subprocess.run(argv, cwd=tests, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 5}:
        print(done.stdout[-4000:])
        return "its tests fail alone"
    return ""


def run(names: list[str]) -> int:
    """Prove the named packages, or all; return 1 if one fails."""
    found = [package for package in packages() if package.landed]
    chosen = [package for package in found if not names or package.name in names]
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        wheels = scratch / "wheels"
        wheels.mkdir()
        pip = [str(ROOT / ".venv" / ".poetry" / "bin" / "python"), "-m", "pip", "wheel", "--quiet"]
        needs = [*third_party(found), *TESTING]
        subprocess.run([*pip, "--wheel-dir", str(wheels), *needs], check=True)
        for package in found:
            copy = scratch / "source" / package.name
            shutil.copytree(package.folder, copy, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
            subprocess.run([*pip, "--no-deps", "--wheel-dir", str(wheels), str(copy)], check=True)
        for package in chosen:
            text = prove(package, wheels, scratch)
            print(f"{package.distribution}: {text or 'works alone'}", flush=True)
            wrong += bool(text)
    return int(wrong > 0)
