#!/usr/bin/env bash
# The whole fault matrix: every command of the lab's scripts, every fault, every call. docs/RELIABILITY.md says what that
# proves; scripts/test.sh runs a share of it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$root"

usage() {
  cat <<'HELP'
Usage: scripts/fault-matrix.sh [--every N] [--markdown] [-- NEXTEST-OPTION...]
Runs the fault matrix on local AWS and prints its table. No AWS account is
needed or touched. Every tenth call takes about 10 minutes on 2 cores, all of
them hours.

  --every N    only every N-th call of each command (default 1: all)
  --markdown   also write the table into docs/RELIABILITY.md

Exit code 0 only when every case passed.

Example:
  scripts/fault-matrix.sh --every 10
  scripts/fault-matrix.sh --every 3 -- up_1_network
HELP
}

every=1 markdown=
while [[ $# -gt 0 ]]; do
  case $1 in
    --every) every=${2:-}; shift; [[ $every =~ ^[1-9][0-9]*$ ]] || { usage >&2; exit 2; } ;;
    --markdown) markdown=1 ;;
    -h | --help) usage; exit 0 ;;
    --) shift; break ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done

scripts/setup.sh --tests
build_programs
build_function
export LAB_MATRIX_EVERY=$every LAB_MATRIX_REPORT=$target/fault-matrix
rm -rf "$LAB_MATRIX_REPORT"
failed=0
cargo nextest run --workspace --no-fail-fast -E 'package(lab-tests) & binary(matrix)' "$@" || failed=1
table=$("$target/debug/fault-table" "$LAB_MATRIX_REPORT")
printf '%s\n' "$table"
if [[ -n $markdown ]]; then
  # Between its two marks the page holds what was measured last.
  page=docs/RELIABILITY.md new=$(mktemp)
  {
    sed '/<!-- table -->/q' "$page"
    printf '\nMeasured %s on %s cores, every %s. call:\n\n%s\n\n' "$(date -u +%Y-%m-%d)" "$(nproc)" "$every" "$table"
    sed -n '/<!-- end of table -->/,$p' "$page"
  } >"$new"
  cat "$new" >"$page"
  rm -f "$new"
fi
exit "$failed"
