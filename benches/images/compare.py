"""Compares the engine with sharp, Pillow and libvips and prints tables in Markdown. scripts/bench-images.sh runs it.

Runs are interleaved: in each round every program makes the picture once, so that a busy machine is busy for all. Shown
are medians; a ratio is the median of the rounds' own ratios.
"""

import argparse
import io
import json
import os
import pathlib
import statistics
import subprocess
import sys

import numpy
from PIL import Image

SMALL = "width=720 height=588"
CASES = [
    ("JPEG 2725x2225 to JPEG 720x588", "photo.jpg", f"format=jpeg quality=80 {SMALL}"),
    ("JPEG 2725x2225 to PNG, full size", "photo.jpg", "format=png"),
    ("JPEG 2725x2225 to PNG 720x588", "photo.jpg", f"format=png {SMALL}"),
    ("JPEG 2725x2225 to WebP 720x588", "photo.jpg", f"format=webp quality=80 {SMALL}"),
    ("PNG 2725x2225 to JPEG 720x588", "photo.png", f"format=jpeg quality=80 {SMALL}"),
]
LARGE = [("24 megapixels, baseline JPEG", "large.jpg"), ("24 megapixels, progressive JPEG", "large-progressive.jpg")]


class Peer:
    """A program that answers lines."""

    def __init__(self, name, command):
        self.name, self.command = name, command
        self.process = None

    def ask(self, line):
        if self.process is None:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"compare.py: {self.name} ended at: {line}")
        return json.loads(answer)

    def peak(self, line):
        """Peak memory in MB of a process that answers one line."""
        # This process is large, and what it starts would count its memory as its own: a small one stands between.
        between = [sys.executable, "-I", "-S", str(pathlib.Path(__file__).resolve().parent.parent / "time_command.py")]
        ran = subprocess.run([*between, *self.command], input=line + "\n", capture_output=True, text=True, check=True)
        seen = json.loads(ran.stdout)
        if seen["exit"]:
            sys.exit(f"compare.py: {self.name} failed at: {line}\n{ran.stderr}")
        return seen["mb"]


def make_photograph(width, height):
    """Noise as strong at each scale as nature's is (its amplitude falls with the frequency), in three like colours."""
    random = numpy.random.default_rng(2)
    down, right = numpy.fft.fftfreq(height)[:, None], numpy.fft.rfftfreq(width)[None, :]
    fall = numpy.maximum(numpy.hypot(down, right), 1 / max(width, height)) ** -1.4

    def plane():
        waves = fall * numpy.exp(2j * numpy.pi * random.random(fall.shape))
        noise = numpy.fft.irfft2(waves, s=(height, width))
        return noise / noise.std()

    ground = plane()
    planes = [numpy.clip(128 + 52 * ground + 14 * plane(), 0, 255) for _ in range(3)]
    return Image.fromarray(numpy.stack(planes, -1).astype("uint8"))


def make_sources(folder, image):
    photo = Image.open(image).convert("RGB") if image else make_photograph(2725, 2225)
    if image:
        (folder / "photo.jpg").write_bytes(pathlib.Path(image).read_bytes())
    else:
        photo.save(folder / "photo.jpg", quality=85)
    Image.open(folder / "photo.jpg").save(folder / "photo.png", compress_level=1)
    large = photo.resize((6000, 4000), Image.BICUBIC)
    large.save(folder / "large.jpg", quality=88)
    large.save(folder / "large-progressive.jpg", quality=88, progressive=True)
    photo.resize((64, 48)).save(folder / "tiny.jpg")


def reference(file, width, height):
    """The picture in the best quality there is: all pixels decoded, Lanczos's window of three, no rounding in between."""
    planes = Image.open(file).convert("RGB").split()
    scaled = [plane.convert("F").resize((width, height), Image.LANCZOS) for plane in planes]
    return numpy.stack([numpy.asarray(plane) for plane in scaled], -1).clip(0, 255)


def decibels(picture, wanted):
    seen = numpy.asarray(picture.convert("RGB")).astype(float)
    error = numpy.mean((seen - wanted) ** 2)
    return 99.0 if error == 0 else 10 * numpy.log10(255**2 / error)


def plain_way(wanted):
    """A JPEG of the reference, by libjpeg with the same settings."""
    out = io.BytesIO()
    Image.fromarray(wanted.round().astype("uint8")).save(out, "JPEG", quality=80, optimize=True, subsampling=2)
    length = out.tell()
    return Image.open(out), length


def measure_times(peers, folder, rounds):
    print("| work | program | ms | CPU ms | times as long | bytes | PSNR |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for title, source, words in CASES:
        ending = words.split("format=")[1].split()[0]
        lines = {peer: f"{folder / source} {folder / peer.name}.{ending} {words}" for peer in peers}
        for peer in peers:
            peer.ask(lines[peer])  # unmeasured: code is loaded, buffers grow
        answers = {peer: [] for peer in peers}
        for _ in range(rounds):
            for peer in peers:
                answers[peer].append(peer.ask(lines[peer]))
        wanted = reference(folder / source, 720, 588) if SMALL in words else None
        ours = answers[peers[0]]
        for peer in peers:
            median = {key: statistics.median(answer[key] for answer in answers[peer]) for key in ("ms", "cpu", "bytes")}
            ratio = statistics.median(a["cpu"] / b["cpu"] for a, b in zip(answers[peer], ours))
            quality = "" if wanted is None else f"{decibels(Image.open(f'{folder / peer.name}.{ending}'), wanted):.2f}"
            print(
                f"| {title} | {peer.name} | {median['ms']:.1f} | {median['cpu']:.1f} | {ratio:.2f} "
                f"| {median['bytes']:,.0f} | {quality} |"
            )
        if ending == "jpeg":
            picture, length = plain_way(wanted)
            print(f"| {title} | all pixels, Lanczos, libjpeg | | | | {length:,} | {decibels(picture, wanted):.2f} |")


def measure_memory(peers, folder):
    print("\n| work | program | MB above idle |\n| --- | --- | --- |")
    for title, source in LARGE:
        for peer in peers:
            words = "format=jpeg quality=80 width=720 height=480"
            idle = peer.peak(f"{folder}/tiny.jpg {folder}/out.jpeg {words}")
            peak = peer.peak(f"{folder}/{source} {folder}/out.jpeg {words}")
            print(f"| {title} to JPEG 720x480 | {peer.name} | {peak - idle:.1f} |")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--engine", required=True)
    options.add_argument("--node-folder", required=True)
    options.add_argument("--image")
    options.add_argument("--rounds", type=int, default=15)
    options = options.parse_args()
    here = pathlib.Path(__file__).resolve().parent
    folder = pathlib.Path(options.node_folder) / "pictures"
    folder.mkdir(exist_ok=True)
    make_sources(folder, options.image)
    peers = [
        Peer("image-engine", [options.engine]),
        Peer("sharp", ["node", f"{options.node_folder}/sharp.mjs"]),
        Peer("Pillow", [sys.executable, str(here / "peer.py"), "pillow"]),
        Peer("libvips", [sys.executable, str(here / "peer.py"), "libvips"]),
    ]
    measure_times(peers, folder, options.rounds)
    measure_memory(peers, folder)


main()
