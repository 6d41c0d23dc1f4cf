#!/usr/bin/env bash
# The same lab for each owner of a roster, on AWS or on local AWS: sets up, builds programs and function once, and hands over
# to class-up. Running it again goes on where it stopped.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

usage() {
  cat <<'HELP'
Usage: scripts/class.sh up|plan|status|down ROSTER.csv [OPTION...]
Builds, shows or deletes the same lab for each owner of a roster.

The roster is a CSV file whose first line names its columns: owner, and where
wanted role_arn, region, lab and name (docs/CLASS.md). Options are class-up's:
--tasks 1|2|both, --at-once N, --only OWNER, --failed, --lab FILE,
--region REGION, --profile NAME, --endpoint-url URL, --json. Without --lab it
takes ./lab.toml, or the built-in lab hol02 when there is none.

On a terminal it says what the class costs and asks; elsewhere it goes on.

Example:
  scripts/class.sh plan roster.csv --tasks 1
  scripts/class.sh up roster.csv --tasks 1
  scripts/class.sh up roster.csv --tasks 1 --failed
  scripts/class.sh down roster.csv
HELP
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
  up | plan | status | down) ;;
  *) usage >&2; exit 2 ;;
esac
verb=$1
shift
for option in "$@"; do
  case $option in -h | --help) usage; exit 0 ;; esac
done

"$root/scripts/setup.sh"
build_programs
if [[ -z ${LAB_FILE:-} && ! -f lab.toml ]]; then export LAB_FILE=hol02; fi
options=()
[[ -t 0 ]] || options+=(--yes)
if [[ $verb == up ]]; then
  build_function
  options+=(--binary "$target/lambda/image-processor/bootstrap")
fi
exec class-up "$verb" "$@" "${options[@]}"
