#!/usr/bin/env bash
# HOL 02, Task 1, on AWS or on local AWS: network, public Jupyter host, buckets, function, one image through all of it.
# Options (--lab, --owner, --region, …) go to every program. Running it again goes on where it stopped.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  cat <<'HELP'
Usage: scripts/task1.sh [OPTION...]
Builds HOL 02's Task 1 on AWS and sends one picture through it.

Options are those of every program: --lab FILE, --owner NAME, --region REGION,
--profile NAME, --endpoint-url URL. Without --lab it takes ./lab.toml, or the
built-in lab hol02 when there is none; then --owner or LAB_OWNER is needed.

Example:
  scripts/task1.sh --owner ada
  scripts/down.sh --owner ada
HELP
  exit 0
fi

"$root/scripts/setup.sh"
build_programs
build_function
if [[ -z ${LAB_FILE:-} && ! -f lab.toml ]]; then export LAB_FILE=hol02; fi

say "network"
net-up up --yes "$@"
say "public host"
host-up up public --yes "$@"
say "buckets, role and log group"
pipeline-up up --yes "$@"
say "function"
pipeline-up deploy --manifest-path "$root/Cargo.toml" --binary "$target/lambda/image-processor/bootstrap" "$@"
say "trigger"
pipeline-up up --yes "$@"
say "one picture"
upload-sample-image --wait "$@"
tell_next "$@"
