"""The lab's notebook cell as a process of its own: draws the picture with Pillow, uploads it with boto3.

Usage: notebook_cell.py BUCKET
"""

import io
import sys

import boto3
from PIL import Image, ImageDraw

picture = Image.new("RGB", (200, 100), "white")
ImageDraw.Draw(picture).text((50, 40), "Hello!", fill="black")
png = io.BytesIO()
picture.save(png, "PNG")
png.seek(0)
boto3.client("s3").upload_fileobj(png, sys.argv[1], "cell-image.png")
print(f"s3://{sys.argv[1]}/cell-image.png")
