#!/usr/bin/env bash
# Fuzzes the decoders, the events and the keys. What it finds is kept with the command that runs it again.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

usage() {
  cat <<'HELP'
Usage: scripts/fuzz.sh [--seconds N] [TARGET...]
Gives each target N seconds (600 by default) of invented input, one target at a
time, on two cores. Targets: jpeg png gif webp bmp tiff any event key; without
one, all. Inputs that crash, take over 5 seconds or over 1 GB of memory are left
in target/fuzz/found/TARGET, and the exit code is 1. Needs scripts/setup.sh
--tests; new inputs worth keeping stay in target/fuzz/corpus.

Example:
  scripts/fuzz.sh --seconds 60 jpeg png
HELP
}

seconds=600
targets=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --seconds) seconds=${2:?"fuzz.sh: --seconds needs a number"}; shift ;;
    --help | -h) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *) targets+=("$1") ;;
  esac
  shift
done
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { say "--seconds must be a whole number above 0"; exit 2; }
[[ ${#targets[@]} -gt 0 ]] || targets=(jpeg png gif webp bmp tiff any event key)
for name in "${targets[@]}"; do
  [[ -f $root/tests/fuzz/fuzz_targets/$name.rs ]] || { say "there is no target $name"; exit 2; }
done
command -v cargo-fuzz >/dev/null || { say "cargo-fuzz is missing: run scripts/setup.sh --tests"; exit 1; }

work=$target/fuzz
mkdir -p "$work"
cd "$root"
cargo run --quiet -p image-engine --example corpus -- "$work/seeds"

# Without a sanitizer the stable compiler does: Rust's own checks stay on, and C's memory is watched by the limits.
export CARGO_TARGET_DIR=$work/build
host=$(rustc -vV | sed -n 's/^host: //p')
cargo fuzz build --fuzz-dir tests/fuzz --sanitizer none --target "$host" --target-dir "$CARGO_TARGET_DIR" >&2

failed=0
for name in "${targets[@]}"; do
  say "$name: $seconds s"
  mkdir -p "$work/corpus/$name" "$work/found/$name"
  program=$CARGO_TARGET_DIR/$host/release/$name
  if ! "$program" "$work/corpus/$name" "$work/seeds/$name" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 \
    -malloc_limit_mb=512 -max_len=16384 -dict="$root/tests/fuzz/words.dict" -artifact_prefix="$work/found/$name/" \
    -print_final_stats=1 -verbosity=0 >"$work/$name.log" 2>&1; then
    failed=1
    tail -n 30 "$work/$name.log" >&2
    say "$name: found something; again with: $program FILE, files in $work/found/$name"
  fi
  grep -E '^stat::(number_of_executed_units|peak_rss_mb)' "$work/$name.log" | sed "s/^stat::/$name: /" >&2 || true
done
exit "$failed"
