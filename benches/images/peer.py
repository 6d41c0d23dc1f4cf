"""Pillow or libvips for scripts/bench-images.sh: the line protocol of crates/image-engine/examples/bench.rs.

Usage: peer.py pillow|libvips
"""

import io
import json
import sys
import time


def pillow(data, recipe):
    from PIL import Image

    image = Image.open(io.BytesIO(data))
    if "width" in recipe:
        size = int(recipe["width"]), int(recipe["height"])
        if image.format == "JPEG":
            image.draft("RGB", size)
        image = image.resize(size, Image.LANCZOS)
    out = io.BytesIO()
    if recipe["format"] == "jpeg":
        image.save(out, "JPEG", quality=80, optimize=True)
    elif recipe["format"] == "webp":
        image.save(out, "WEBP", quality=80)
    else:
        image.save(out, "PNG")
    return out.getvalue()


def libvips(data, recipe):
    import pyvips

    if "width" in recipe:
        image = pyvips.Image.thumbnail_buffer(
            data, int(recipe["width"]), height=int(recipe["height"]), size="force"
        )
    else:
        image = pyvips.Image.new_from_buffer(data, "", access="sequential")
    if recipe["format"] == "jpeg":
        return image.jpegsave_buffer(Q=80, optimize_coding=True, keep="none")
    if recipe["format"] == "webp":
        return image.webpsave_buffer(Q=80, keep="none")
    return image.pngsave_buffer(compression=6, keep="none")


def main():
    make = {"pillow": pillow, "libvips": libvips}[sys.argv[1]]
    for line in sys.stdin:
        file, out, *words = line.split()
        recipe = dict(word.split("=") for word in words)
        with open(file, "rb") as source:
            data = source.read()
        start, cpu = time.perf_counter(), time.process_time()
        picture = make(data, recipe)
        ms, cpu = (time.perf_counter() - start) * 1e3, (time.process_time() - cpu) * 1e3
        with open(out, "wb") as target:
            target.write(picture)
        print(json.dumps({"ms": ms, "cpu": cpu, "bytes": len(picture)}), flush=True)


main()
