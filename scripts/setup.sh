#!/usr/bin/env bash
# Installs what the lab, its tests and its demo need; does nothing the second time. Safe to run twice, from any folder.
# With --vpn it also installs what a real tunnel on this machine needs, with --tests what only the tests need besides.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly nextest_version=0.9.143
readonly deny_version=0.20.2
readonly fuzz_version=0.13.2
readonly rust_at_least=1.95

say() { echo "setup: $*" >&2; }
die() { say "$@"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [[ $EUID -eq 0 ]]; then "$@"; elif has sudo; then sudo "$@"; else die "needs root or sudo for: $*"; fi
}

# Debian's and Ubuntu's packages for commands that are missing.
install_packages() {
  local missing=("$@")
  [[ ${#missing[@]} -gt 0 ]] || return 0
  has apt-get || die "please install with your system's package manager: ${missing[*]}"
  say "installing ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

packages=()
has cc || packages+=(gcc libc6-dev)
# libjpeg-turbo is built from source: its build, and the assembler of its x86 part.
has cmake || packages+=(cmake)
has make || packages+=(make)
if [[ $(uname -m) == x86_64 ]] && ! has nasm; then packages+=(nasm); fi
has python3 || packages+=(python3)
python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
has curl || packages+=(curl)
has ssh || packages+=(openssh-client)
# Debian keeps these in sbin, which a user's PATH does not hold.
has_in_sbin() { has "$1" || [[ -x /usr/sbin/$1 || -x /sbin/$1 ]]; }
if [[ ${1:-} == --vpn || ${1:-} == --tests ]]; then
  has_in_sbin openvpn || packages+=(openvpn)
  has_in_sbin nft || packages+=(nftables)
  has_in_sbin ip || packages+=(iproute2)
fi
if [[ ${1:-} == --tests ]]; then
  has shellcheck || packages+=(shellcheck)
  has cloud-init || packages+=(cloud-init)
  has openssl || packages+=(openssl)
  has_in_sbin tcpdump || packages+=(tcpdump)
  has chromium || packages+=(chromium)
  has node || packages+=(nodejs)
  has npm || packages+=(npm)
fi
install_packages "${packages[@]}"

has cargo || die "Rust is missing: install it from https://rustup.rs, then run this again"
rust=$(rustc --version | cut -d' ' -f2)
[[ $(printf '%s\n' "$rust_at_least" "$rust" | sort -V | head -n 1) == "$rust_at_least" ]] ||
  die "Rust $rust is too old: run 'rustup update stable' for $rust_at_least or later"

# The virtual environment is made again whenever the list of packages changes, and is whole only once it bears its mark.
readonly mark=.venv/requirements.done
if ! cmp -s scripts/requirements.txt "$mark"; then
  say "making .venv with moto and cargo-lambda (about a minute)"
  rm -rf .venv
  python3 -m venv .venv
  .venv/bin/pip install --quiet --disable-pip-version-check -r scripts/requirements.txt
  cp scripts/requirements.txt "$mark"
fi

# What drives the browser: without a browser of its own.
if [[ ${1:-} == --tests ]] && ! cmp -s tests/browser/package.json target/browser/package.json; then
  say "installing playwright-core"
  mkdir -p target/browser
  cp tests/browser/package.json target/browser/package.json.new
  npm install --silent --ignore-scripts --no-save --no-audit --no-fund --prefix target/browser \
    "playwright-core@$(sed -n 's/.*"playwright-core": "\(.*\)".*/\1/p' tests/browser/package.json)"
  mv target/browser/package.json.new target/browser/package.json
fi

if [[ ${1:-} == --tests ]] && [[ $(cargo nextest --version 2>/dev/null | head -n 1) != "cargo-nextest $nextest_version"* ]]; then
  say "installing cargo-nextest $nextest_version (some minutes)"
  cargo install --quiet --locked --version "$nextest_version" cargo-nextest
fi

if [[ ${1:-} == --tests && $(cargo deny --version 2>/dev/null) != "cargo-deny $deny_version" ]]; then
  say "installing cargo-deny $deny_version (some minutes)"
  cargo install --quiet --locked --version "$deny_version" cargo-deny
fi

if [[ ${1:-} == --tests && $(cargo fuzz --version 2>/dev/null) != "cargo-fuzz $fuzz_version" ]]; then
  say "installing cargo-fuzz $fuzz_version (some minutes)"
  cargo install --quiet --locked --version "$fuzz_version" cargo-fuzz
fi
