#!/usr/bin/env bash
# Sets up, then checks and tests everything. This is what CI runs.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$root"

# Without network, so for this machine's own platform: others' dependencies were never downloaded. Advisories need their
# database: cargo deny check advisories.
check_dependencies() {
  local metadata host
  host=$(rustc -vV | sed -n 's/^host: //p')
  metadata=$(mktemp)
  cargo metadata --locked --offline --format-version 1 --filter-platform "$host" >"$metadata"
  cargo deny --log-level off --offline --metadata-path "$metadata" check --allow duplicate licenses bans sources
  rm "$metadata"
}

scripts/setup.sh --tests
# Everything that the tests need is there now: a missing tool is a failure, not a reason to skip.
export CI=${CI:-true}
say "scripts"
shellcheck scripts/*.sh .ci/run
say "format and lints"
cargo fmt --check
cargo clippy --quiet --workspace --all-targets -- -D warnings
say "licences, bans and sources of the dependencies"
check_dependencies
say "build"
build_programs
build_function
say "tests"
# Of the fault matrix a share runs here (LAB_MATRIX_EVERY); scripts/fault-matrix.sh runs all.
export LAB_MATRIX_REPORT=$target/fault-matrix
rm -rf "$LAB_MATRIX_REPORT"
failed=0
cargo nextest run --workspace --no-fail-fast "$@" || failed=$?
say "fuzzing, a minute in all"
scripts/fuzz.sh --seconds 6 || failed=$?
if [[ -d $LAB_MATRIX_REPORT ]]; then
  say "fault matrix"
  "$target/debug/fault-table" "$LAB_MATRIX_REPORT"
fi
exit "$failed"
