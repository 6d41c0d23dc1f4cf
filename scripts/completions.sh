#!/usr/bin/env bash
# Writes shell completions (bash, zsh, fish) and man pages of every program. Usage: scripts/completions.sh [SHARE]
# SHARE is target/share unless told; ~/.local/share is where bash, fish and man look by themselves.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
if [[ $# -gt 1 || ${1:-} == -* ]]; then sed -n '2,3s/^# //p' "$0"; exit 2; fi
share=${1:-$target/share}
build_programs
lab-manual "$share"
say "bash, fish and man find them by themselves in ~/.local/share; for zsh put this into ~/.zshrc, before compinit:"
say "  fpath=($share/zsh/site-functions \$fpath)"
