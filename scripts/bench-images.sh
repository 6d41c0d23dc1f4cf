#!/usr/bin/env bash
# Compares the image engine with sharp, Pillow and libvips in one run. Nothing here passes or fails: a machine's load
# would decide.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  cat <<'HELP'
Usage: scripts/bench-images.sh [--rounds N] [--image FILE]
Prints, in Markdown, how long the image engine, sharp, Pillow and libvips take
for the same pictures on one thread, how large and how good their results are,
and how much memory a 24-megapixel JPEG takes. Programs take turns, N times (15).
FILE is a JPEG to work on; without one, a picture with a photograph's statistics
is made. Needs Node.js and Python; their packages go into target/bench-images.

Example:
  scripts/bench-images.sh --rounds 5 --image holiday.jpg
HELP
  exit 0
fi

readonly sharp_version=0.35.5
readonly packages=(pillow==13.0.0 numpy==2.4.6 pyvips==3.2.0 pyvips-binary==8.18.7)
for tool in node npm python3; do
  command -v "$tool" >/dev/null || { say "$tool is missing"; exit 1; }
done

work=$target/bench-images
mkdir -p "$work"
if [[ ! -d $work/node_modules/sharp ]] ||
  [[ $(node -p "require('$work/node_modules/sharp/package.json').version") != "$sharp_version" ]]; then
  say "fetching sharp $sharp_version"
  npm install --silent --no-save --prefix "$work" "sharp@$sharp_version"
fi
if ! cmp -s <(printf '%s\n' "${packages[@]}") "$work/venv/packages.done"; then
  say "fetching ${packages[*]}"
  rm -rf "$work/venv"
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
  printf '%s\n' "${packages[@]}" >"$work/venv/packages.done"
fi
cp "$root/benches/images/sharp.mjs" "$work/sharp.mjs"
cargo build --quiet --release --manifest-path "$root/Cargo.toml" -p image-engine --example bench

export VIPS_CONCURRENCY=1 OMP_NUM_THREADS=1
echo "image-engine, sharp $sharp_version, ${packages[*]}; $(nproc) cores, $(date -u +%Y-%m-%d)"
echo
exec "$work/venv/bin/python" "$root/benches/images/compare.py" \
  --engine "$target/release/examples/bench" --node-folder "$work" "$@"
