#!/bin/bash
# cloud-init runs this at every boot, as one of its last steps.
set -euo pipefail
printf '\nhybrid-lab: ready\n' >/dev/console
