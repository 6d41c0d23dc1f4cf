#!/usr/bin/env bash
# Takes a lab down: what does not depend on each other at the same time, the most expensive part first, then the network.
# It says at the end whether anything is left. Options (--lab, --owner, --region, …) go to every program. A failure does
# not stop the rest.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  cat <<'HELP'
Usage: scripts/down.sh [OPTION...]
Deletes everything of the lab, also what is in its buckets, without asking.

Options are those of every program: --lab FILE, --owner NAME, --region REGION,
--profile NAME, --endpoint-url URL. Exit code 0 only when nothing is left.
HELP
  exit 0
fi

"$root/scripts/setup.sh" && build_programs || exit 1
if [[ -z ${LAB_FILE:-} && ! -f lab.toml ]]; then export LAB_FILE=hol02; fi

# Each program is a job of its own: Ctrl-C reaches this script alone, which passes it on exactly once.
set -m
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0 stopped=0 programs=() names=() readers=()
# shellcheck disable=SC2317 # the traps call it
stop() {
  stopped=$1
  [[ ${#programs[@]} -eq 0 ]] || kill "-$2" "${programs[@]}" 2>/dev/null
}
trap 'stop 130 INT' INT
trap 'stop 143 TERM' TERM

# Starts a program; its lines bear its name.
begin() {
  local pipe=$work/$#${*//[^a-z-]/}
  say "$*"
  mkfifo "$pipe.out" "$pipe.err"
  label "$1" <"$pipe.out" & readers+=($!)
  label "$1" <"$pipe.err" >&2 & readers+=($!)
  "$@" >"$pipe.out" 2>"$pipe.err" & programs+=($!)
  names+=("$1 $2")
}
label() {
  local line
  while IFS= read -r line || [[ -n $line ]]; do printf '%s: %s\n' "$1" "$line"; done
}
# Waits for everything that was begun. A failure does not stop the rest, a signal does.
finish() {
  local index code
  for index in "${!programs[@]}"; do
    await "${programs[index]}"
    code=$?
    [[ $code -eq 0 ]] || { failed=1; say "${names[index]} failed (exit code $code)"; }
  done
  for index in "${!readers[@]}"; do await "${readers[index]}"; done
  programs=() names=() readers=()
  [[ $stopped -eq 0 ]] || { say "stopped; to go on: scripts/down.sh $options"; exit "$stopped"; }
}
# A signal ends `wait` before the program has ended.
await() {
  local code
  while wait "$1"; code=$?; kill -0 "$1" 2>/dev/null; do :; done
  return "$code"
}

options=$*
# None of these needs another to be gone first; the network needs all of them to be.
begin vpn-setup down --yes "$@"
begin net-up nat close --yes "$@"
begin host-up down --yes "$@"
begin pipeline-up down --yes "$@"
finish
begin net-up down --yes "$@"
finish
lab-status leaks "$@" || failed=1
exit "$failed"
