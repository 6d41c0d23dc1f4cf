#!/usr/bin/env bash
# The whole of HOL 02's Task 1 on a local AWS: built, used, and taken down again. No AWS account is touched.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

usage() {
  cat <<'HELP'
Usage: scripts/demo.sh [--keep]
Runs HOL 02's Task 1 on local AWS: network, public Jupyter host, buckets, the
Rust function executed by an upload, the processed picture back on disk, and
everything taken down. No AWS account is needed or touched.

  --keep   leave local AWS and the lab up, print how to look around, and wait
HELP
}

keep=
case ${1:-} in
  '') ;;
  --keep) keep=1 ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

# What runs inside of local AWS.
if [[ -n ${LAB_DEMO_INSIDE:-} ]]; then
  cd "$LAB_DEMO_INSIDE"
  "$root/scripts/task1.sh"
  say "the processed picture: $LAB_DEMO_INSIDE/lab-image-processed.png"
  if [[ -n $keep ]]; then
    cat >&2 <<HELP

Local AWS stays up at $AWS_ENDPOINT_URL. In another terminal:

  export AWS_ENDPOINT_URL=$AWS_ENDPOINT_URL AWS_REGION=$AWS_REGION
  export AWS_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY
  export LAB_FILE=$LAB_FILE LAB_OWNER=$LAB_OWNER LAB_HOME=$LAB_HOME LAB_MY_IP=$LAB_MY_IP
  export PATH=$target/debug:$root/.venv/bin:\$PATH

  net-up status; host-up status --show-url; pipeline-up status
  aws ec2 describe-instances --output table
  aws s3 ls s3://lab-output-bucket-$LAB_OWNER

Press Enter to take everything down.
HELP
    read -r || true
  fi
  exec "$root/scripts/down.sh"
fi

say "setting up, then HOL 02's Task 1 on local AWS; the first run takes about 10 minutes, later ones under 30 s"
"$root/scripts/setup.sh"
build_programs
build_function
# The picture stays; keys and tokens of a lab that is gone do not.
folder=$target/demo
rm -rf "$folder"
mkdir -p "$folder"
trap 'rm -rf "$folder/home"' EXIT
export LAB_DEMO_INSIDE=$folder LAB_HOME=$folder/home LAB_FILE=hol02 LAB_OWNER=${LAB_OWNER:-demo}
unset AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION
lab-sim -- "$root/scripts/demo.sh" ${keep:+--keep}
