#!/usr/bin/env bash
# Measures the programs beside their Python peers, in the same run, and prints the ratios. Nothing here passes or fails:
# a machine's load would decide. Every option goes to benches/measure.py (--runs N).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  cat <<'HELP'
Usage: scripts/bench.sh [--runs N]
Builds release binaries and the function, then prints how long they take, how
much memory they need, and how that compares with Python doing the same against
the same local AWS: the uploader and the notebook cell, the function and a boto3
handler, net-up and boto3's calls in sequence; and vpn-setup's certificates and
easy-rsa's, where easy-rsa is installed.

The first release build takes 15 to 30 minutes on 2 cores. To measure other
binaries, build them yourself and set BENCH_BIN to their folder.

Example:
  scripts/bench.sh --runs 5
HELP
  exit 0
fi

"$root/scripts/setup.sh"
build_programs
if [[ -z ${BENCH_BIN:-} ]]; then
  BENCH_BIN=$target/release
  [[ -x $BENCH_BIN/net-up ]] || say "first release build: 15 to 30 minutes on 2 cores, up to 8 GB of memory"
  cargo build --quiet --release --workspace --bins --manifest-path "$root/Cargo.toml"
fi
build_function

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export BOOTSTRAP=$target/lambda/image-processor/bootstrap CALL_LOG=$work/calls.jsonl
# The measured programs come from BENCH_BIN; lab-sim is only the scenery.
sim=$target/debug/lab-sim
export PATH="$BENCH_BIN:$PATH"
measure() { "$root/.venv/bin/python" "$root/benches/measure.py" "$@"; }

echo "programs of $BENCH_BIN on $(nproc) cores, $(date -u +%Y-%m-%d)"
measure help "$@"
"$sim" -- "$root/.venv/bin/python" "$root/benches/measure.py" upload "$@"
"$sim" -- "$root/.venv/bin/python" "$root/benches/measure.py" function "$@"
if [[ -x /usr/share/easy-rsa/easyrsa ]]; then
  "$sim" --warm -- "$root/.venv/bin/python" "$root/benches/measure.py" pki "$@"
else
  say "easy-rsa is not installed (package easy-rsa): vpn-setup's certificates are not measured"
fi
"$sim" --latency 100 --call-log "$CALL_LOG" -- "$root/.venv/bin/python" "$root/benches/measure.py" network "$@"
