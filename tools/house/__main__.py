"""Entry of `tools/dev`."""

from tools.house.cli import app

app(prog_name="tools/dev")
