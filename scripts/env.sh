# Sourced by the other scripts: where things are. Not a program of its own.
# shellcheck shell=bash
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
[[ $target == /* ]] || target=$root/$target
export CARGO_TARGET_DIR=$target
export PATH="$target/debug:$root/.venv/bin:$PATH"

# cargo lambda's SDK does not read AWS's variable for a private CA, but this one.
if [[ -n ${AWS_CA_BUNDLE:-} ]]; then export SSL_CERT_FILE=${SSL_CERT_FILE:-$AWS_CA_BUNDLE}; fi

say() { echo "${0##*/}: $*" >&2; }

# How to go on once a task is done; its arguments are the options that say which lab.
tell_next() {
  cat >&2 <<HELP
${0##*/}: done. In this folder, with  export PATH=$target/debug:\$PATH${LAB_FILE:+ LAB_FILE=$LAB_FILE}
  host-up status --show-url $*    where to log in
  lab-status $*                   what exists, and what it costs
  scripts/down.sh $*              everything gone
HELP
}

# Builds the programs, and the tests with them: a part alone has other features, and would build the SDKs a second time.
build_programs() {
  if [[ ! -x $target/debug/net-up ]]; then
    say "first build: the AWS SDKs take about 5 minutes on 2 cores and up to 8 GB of memory; later ones take seconds"
  fi
  cargo build --quiet --workspace --all-targets --manifest-path "$root/Cargo.toml"
}

# Builds the function for Lambda. cargo-lambda says where it failed; its own chatter is of no use.
build_function() {
  if [[ ! -f $target/lambda/image-processor/bootstrap ]]; then
    say "first build of the function: about 3 minutes"
  fi
  (cd "$root" && cargo lambda build --quiet --release --package image-processor)
}
