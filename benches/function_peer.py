"""The function as a Python handler with boto3 and Pillow, with the loop that Lambda's Python runtime would be.

It answers the same events as image-processor: the object named in the first record becomes a PNG in OUTPUT_BUCKET.
"""

import http.client
import io
import json
import os
import urllib.parse

import boto3

s3 = boto3.client("s3")


def handle(event):
    from PIL import Image

    record = event["Records"][0]["s3"]
    key = urllib.parse.unquote_plus(record["object"]["key"])
    source = s3.get_object(Bucket=record["bucket"]["name"], Key=key)["Body"].read()
    png = io.BytesIO()
    Image.open(io.BytesIO(source)).save(png, "PNG")
    stem = os.path.splitext(key)[0]
    s3.put_object(Bucket=os.environ["OUTPUT_BUCKET"], Key=f"{stem}-processed.png", Body=png.getvalue())
    return {"processed": [{"key": key}]}


def serve():
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    base = "/2018-06-01/runtime/invocation"
    while True:
        api.request("GET", f"{base}/next")
        invocation = api.getresponse()
        event = json.loads(invocation.read())
        request_id = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
        api.request("POST", f"{base}/{request_id}/response", json.dumps(handle(event)))
        api.getresponse().read()


if __name__ == "__main__":
    serve()
