#!/usr/bin/env bash
# Sets up, then checks and tests everything. This is what CI runs.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$root"

scripts/setup.sh --tests
# Everything that the tests need is there now: a missing tool is a failure, not a reason to skip.
export CI=${CI:-true}
say "scripts"
shellcheck scripts/*.sh .ci/run
say "format and lints"
cargo fmt --check
cargo clippy --quiet --workspace --all-targets -- -D warnings
say "build"
build_programs
build_function
say "tests"
cargo nextest run --workspace --no-fail-fast "$@"
