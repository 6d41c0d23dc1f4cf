#!/bin/bash
# Installs Jupyter, boto3 and Pillow for the user `jupyter` and starts the server. cloud-init runs it once, as root, on
# Amazon Linux 2023 (dnf) or Ubuntu (apt). Safe to run again.
set -euo pipefail

report_failure() {
  local status=$?
  [ "$status" -eq 0 ] ||
    printf '\nhybrid-lab: failed (setup ended with %s; see /var/log/cloud-init-output.log)\n' "$status" >/dev/console
}
trap report_failure EXIT

# A mirror that does not answer is no reason to give up at once.
try() {
  local attempt
  for attempt in 1 2 3 4; do
    "$@" && return
    echo "attempt $attempt of 5 failed: $*" >&2
    sleep $((attempt * 10))
  done
  "$@"
}

as_jupyter() {
  runuser -u jupyter -- env HOME=/home/jupyter "$@"
}

if command -v dnf >/dev/null; then
  # The system's python3 is 3.9 for good; Jupyter needs a newer one beside it.
  try dnf --assumeyes --quiet install python3.12 python3.12-pip
  python=python3.12
else
  export DEBIAN_FRONTEND=noninteractive
  # The first boot's own updates may hold the lock.
  try apt-get -qq -o DPkg::Lock::Timeout=300 update
  try apt-get -qq -o DPkg::Lock::Timeout=300 --no-install-recommends --yes install curl python3 python3-venv
  python=python3
fi

id jupyter >/dev/null 2>&1 || useradd --create-home --shell /bin/bash jupyter
as_jupyter "$python" -m venv /home/jupyter/venv
# Wheels only: nothing is compiled, and no package's build script runs.
try as_jupyter /home/jupyter/venv/bin/pip --quiet --disable-pip-version-check \
  install --no-cache-dir --only-binary :all: --requirement /etc/hybrid-lab/requirements.txt

install --directory --owner=jupyter --group=jupyter --mode=0700 /home/jupyter/work
if grep --quiet '^INPUT_BUCKET=.' /etc/hybrid-lab/host.env && [ ! -e /home/jupyter/work/sample-image.ipynb ]; then
  install --owner=jupyter --group=jupyter --mode=0600 /etc/hybrid-lab/sample-image.ipynb /home/jupyter/work/
fi

systemctl daemon-reload
# Returns once report-ready has seen the server answer, or fails.
systemctl enable --now jupyter.service
