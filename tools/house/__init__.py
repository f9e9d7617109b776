"""The gates and chores of the repository, one module each; `tools/dev` runs them."""
