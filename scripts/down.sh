#!/usr/bin/env bash
# Takes a lab down, the most expensive parts first, and says at the end whether anything is left.
# Options (--lab, --owner, --region, …) go to every program. A failure does not stop the rest.
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

failed=0
remove() {
  say "$*"
  "$@" || { failed=1; say "$1 $2 failed; going on with the rest"; }
}
remove vpn-setup down --yes "$@"
remove net-up nat close --yes "$@"
remove host-up down --yes "$@"
remove pipeline-up down --yes "$@"
remove net-up down --yes "$@"
lab-status leaks "$@" || failed=1
exit "$failed"
