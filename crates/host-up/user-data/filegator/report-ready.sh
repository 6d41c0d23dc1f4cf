#!/bin/bash
# Says on the console whether FileGator answers.
set -euo pipefail
for _ in {1..120}; do
  if curl --silent --fail --max-time 5 --output /dev/null http://127.0.0.1:8080/; then
    printf '\nhybrid-lab: ready\n' >/dev/console
    exit 0
  fi
  sleep 1
done
echo 'FileGator does not answer on port 8080; see docker logs filegator' >&2
exit 1
