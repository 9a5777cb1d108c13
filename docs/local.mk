# docs
EXTRA_DIST += docs/sandbox.md docs/register.md
