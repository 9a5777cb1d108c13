# docs
EXTRA_DIST += docs/sandbox.md
