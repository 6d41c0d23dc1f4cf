#!/bin/bash
# Installs Docker from Ubuntu's packages and runs FileGator in it. cloud-init runs it at the first boot, as root; the unit
# filegator.service at every later one. Safe to run again: what is done is left as it is.
set -euo pipefail

image=filegator/filegator:v7.15.1
data=/srv/filegator
# www-data of the image, as whom FileGator runs.
owner=33
# What fails this often in a row with the internet there, 10 seconds apart, will not succeed any more.
tries=30

report_failure() {
  local status=$?
  [ "$status" -eq 0 ] ||
    printf '\nhybrid-lab: failed (setup ended with %s; see %s)\n' \
      "$status" '/var/log/cloud-init-output.log, or journalctl -u filegator' >/dev/console
}
trap report_failure EXIT

is_online() {
  timeout 10 bash -c 'exec 3<>/dev/tcp/registry-1.docker.io/443' 2>/dev/null
}

# Until it succeeds. The host has no way to the internet but a NAT window, which may open long after the boot and close
# before all is done: a failure without the internet counts for nothing.
insist() {
  local failures=0
  until "$@"; do
    if is_online; then failures=$((failures + 1)); else failures=0; fi
    if [ "$failures" -ge "$tries" ]; then
      echo "gave up after $failures failures in a row: $*" >&2
      return 1
    fi
    echo "again in 10 s: $*" >&2
    sleep 10
  done
}

get() {
  # A short timeout: the window that opens next is not to be spent on an attempt of before. The first boot's own updates
  # may hold the lock.
  apt-get -qq -o Acquire::http::Timeout=10 -o Acquire::https::Timeout=10 -o DPkg::Lock::Timeout=300 \
    -o APT::Update::Error-Mode=any "$@"
}

systemctl enable filegator.service

if ! docker container inspect filegator >/dev/null 2>&1; then
  export DEBIAN_FRONTEND=noninteractive
  insist get update
  insist get --no-install-recommends --yes install ca-certificates curl docker.io
  insist docker pull --quiet "$image"

  # The files and the users stay when the container goes. FileGator finds its users before it starts for the first time, so
  # its well-known first login never works; a file that exists has FileGator's own changes in it.
  install --directory --owner="$owner" --group="$owner" --mode=0750 "$data/repository"
  install --directory --owner="$owner" --group="$owner" --mode=0700 "$data/private"
  [ -e "$data/private/users.json" ] ||
    install --owner="$owner" --group="$owner" --mode=0600 /etc/hybrid-lab/users.json "$data/private/users.json"

  docker create --name filegator --restart unless-stopped --publish 8080:8080 \
    --volume "$data/repository:/var/www/filegator/repository" \
    --volume "$data/private:/var/www/filegator/private" \
    --cap-drop ALL --security-opt no-new-privileges --log-opt max-size=10m --log-opt max-file=3 "$image"
fi
docker start filegator
/usr/local/lib/hybrid-lab/report-ready
