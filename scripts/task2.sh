#!/usr/bin/env bash
# HOL 02, Task 2, on AWS or on local AWS: private file server, installed through a NAT window that closes again, and the
# Client VPN that alone reaches it. Options (--lab, --owner, --region, …) go to every program. Running it again goes on
# where it stopped.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  cat <<'HELP'
Usage: scripts/task2.sh [OPTION...]
Builds HOL 02's Task 2 on AWS: the private file server and the VPN to it. It
takes 15 to 20 minutes there, most of it waiting, and the VPN costs 10 cents an
hour from then on: scripts/down.sh ends it, vpn-setup pause interrupts it.

Options are those of every program: --lab FILE, --owner NAME, --region REGION,
--profile NAME, --endpoint-url URL. Without --lab it takes ./lab.toml, or the
built-in lab hol02 when there is none; then --owner or LAB_OWNER is needed.

Where openvpn is installed, it ends with a check through the tunnel; for openvpn
alone it uses sudo. Otherwise it says which file to import and how to check.

Example:
  scripts/task2.sh --owner ada
  scripts/down.sh --owner ada
HELP
  exit 0
fi

"$root/scripts/setup.sh"
build_programs
if [[ -z ${LAB_FILE:-} && ! -f lab.toml ]]; then export LAB_FILE=hol02; fi

say "network"
net-up up --yes "$@"
# Each started hour of a NAT gateway is billed whole, so a host that is ready gets none.
ready=0
host-up status --check-ready private "$@" >/dev/null || ready=$?
case $ready in
  0)
    say "private host, which is installed already"
    # A run that was killed may have left the gateway behind.
    net-up nat close --yes "$@"
    host-up up private --wait-ready --yes "$@"
    ;;
  3)
    say "private host, with a NAT gateway only while it installs"
    net-up nat --yes "$@" -- host-up up private --wait-ready --yes "$@"
    ;;
  *) exit "$ready" ;;
esac
say "certificates and VPN"
vpn-setup up --yes "$@"
can_connect() {
  [[ -n $(PATH=$PATH:/usr/sbin:/sbin command -v openvpn) ]] || return 1
  [[ $EUID -eq 0 ]] || { [[ -t 0 ]] && command -v sudo >/dev/null; }
}
if can_connect; then
  say "the file server answers with the tunnel, and not without it"
  vpn-setup check --connect "$@"
else
  cat >&2 <<'HELP'
task2.sh: now import the .ovpn file into the AWS VPN Client, or into any OpenVPN
client (vpn-setup client list names it), connect, and check the tunnel:

  vpn-setup check
  host-up status --show-url     the file server's address and login
HELP
fi
tell_next "$@"
