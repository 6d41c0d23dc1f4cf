#!/usr/bin/env bash
# HOL 02 on a local AWS: built, used, and taken down again. No AWS account is touched.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

usage() {
  cat <<'HELP'
Usage: scripts/demo.sh [--task2] [--keep]
Runs HOL 02's Task 1 on local AWS: network, public Jupyter host, buckets, the
Rust function executed by an upload, the processed picture back on disk, and
everything taken down. No AWS account is needed or touched.

  --task2  Task 2 instead: the private file server, the NAT window, the VPN,
           and, as root, a real OpenVPN tunnel to it in network namespaces
  --keep   leave local AWS and the lab up, print how to look around, and wait
HELP
}

task=1 keep=
for option in "$@"; do
  case $option in
    --task2) task=2 ;;
    --keep) keep=1 ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

show_around() {
  local enter=
  [[ -z ${LAB_SIM_LAPTOP:-} ]] || enter="ip netns exec $LAB_SIM_LAPTOP "
  cat >&2 <<HELP

Local AWS stays up at $AWS_ENDPOINT_URL. In another terminal:

  export AWS_ENDPOINT_URL=$AWS_ENDPOINT_URL AWS_REGION=$AWS_REGION
  export AWS_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY
  export LAB_FILE=$LAB_FILE LAB_OWNER=$LAB_OWNER LAB_HOME=$LAB_HOME LAB_MY_IP=$LAB_MY_IP
  export PATH=$target/debug:$root/.venv/bin:\$PATH

  lab-status; host-up status --show-url; net-up status
  lab-status serve     # all of it in a browser
HELP
  if [[ $task == 2 ]]; then
    cat >&2 <<HELP
  vpn-setup status; vpn-setup client list
  ${enter}vpn-setup check${enter:+ --connect}
HELP
  else
    cat >&2 <<HELP
  pipeline-up status
  aws ec2 describe-instances --output table
  aws s3 ls s3://lab-output-bucket-$LAB_OWNER
HELP
  fi
  printf '\nPress Enter to take everything down.\n' >&2
  read -r || true
}

# What runs inside of local AWS.
if [[ -n ${LAB_DEMO_INSIDE:-} ]]; then
  cd "$LAB_DEMO_INSIDE"
  "$root/scripts/task$task.sh"
  [[ $task == 2 ]] || say "the processed picture: $LAB_DEMO_INSIDE/lab-image-processed.png"
  lab-status report --out report.html >/dev/null && say "the report, as a student hands it in: $LAB_DEMO_INSIDE/report.html"
  [[ -z $keep ]] || show_around
  exec "$root/scripts/down.sh"
fi

say "setting up, then HOL 02's Task $task on local AWS; the first run takes about 10 minutes, later ones under 30 s"
sim_options=()
if [[ $task == 1 ]]; then
  "$root/scripts/setup.sh"
elif [[ $EUID -eq 0 && -c /dev/net/tun ]]; then
  "$root/scripts/setup.sh" --vpn
  sim_options=(--vpn-netns)
else
  "$root/scripts/setup.sh"
  say "a real tunnel needs root and /dev/net/tun: the VPN is built, but nobody connects"
fi
build_programs
[[ $task == 2 ]] || build_function
# The picture stays; keys and tokens of a lab that is gone do not.
folder=$target/demo
rm -rf "$folder"
mkdir -p "$folder"
trap 'rm -rf "$folder/home"' EXIT
export LAB_DEMO_INSIDE=$folder LAB_HOME=$folder/home LAB_FILE=hol02 LAB_OWNER=${LAB_OWNER:-demo}
unset AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION
lab-sim "${sim_options[@]}" -- "$root/scripts/demo.sh" "$@"
