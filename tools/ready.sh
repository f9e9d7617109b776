# Sourced by the launchers with $root set: set the workspace up when it is missing or older than what it was made from.
# Shell builtins only, so that the common case starts no process.
stale=
ready=$root/.venv/.ready
if [ -e "$ready" ]; then
    for source in "$root"/poetry.lock "$root"/tools/setup.py "$root"/libs/*/pyproject.toml "$root"/apps/*/pyproject.toml \
        "$root"/libs/*/build_native.py "$root"/libs/*/src/*/_native/*.[chS]; do
        if [ "$source" -nt "$ready" ]; then stale=$source; break; fi
    done
else
    stale=$ready
fi
if [ -n "$stale" ] || [ -n "${task-}" ]; then
    # A version manager's python3 may be a slow shim: the system's own first.
    python=/usr/bin/python3
    [ -x "$python" ] || python=$(command -v python3) || { echo "sentry: Python 3.11 or later is needed (Debian: apt-get install python3 python3-dev python3-venv gcc)" >&2; exit 125; }
    "$python" -I "$root/tools/setup.py" ${task-} || exit 125
fi
