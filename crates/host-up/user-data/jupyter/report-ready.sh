#!/bin/bash
# Says on the console, at every start of the service, whether Jupyter answers.
set -euo pipefail
for _ in {1..120}; do
  if curl --silent --fail --max-time 5 --output /dev/null http://127.0.0.1:8888/api; then
    printf '\nhybrid-lab: ready\n' >/dev/console
    exit 0
  fi
  sleep 1
done
printf '\nhybrid-lab: failed (Jupyter does not answer; see journalctl -u jupyter)\n' >/dev/console
exit 1
