"""A Lambda host for measuring: spawns a function, times its first GET /next, hands it one event and reads its peak memory.

Usage: function_host.py [--event FILE] -- COMMAND...
Prints one JSON document: start_ms (spawn to first GET /next), invoke_ms, rss_mb (peak), idle_rss_mb (at the first
GET /next) and the function's answer. Without --event the function is stopped after its first GET /next.
"""

import argparse
import http.server
import json
import os
import subprocess
import sys
import threading
import time


class Host(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, event):
        super().__init__(("127.0.0.1", 0), Handler)
        self.event = event
        self.first_next = None
        self.sent = None
        self.answer = None
        self.asked = threading.Event()
        self.done = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        host = self.server
        if host.first_next is None:
            host.first_next = time.perf_counter()
            host.asked.set()
        if host.event is None:
            threading.Event().wait()
        body, host.event = host.event, None
        host.sent = time.perf_counter()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "11111111-2222-3333-4444-555555555555")
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + 60) * 1000)))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:f")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        self.server.answer = (self.path.rsplit("/", 1)[-1], body.decode(), time.perf_counter())
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.done.set()


def memory_mb(pid, field):
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    return 0.0


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--event")
    options.add_argument("command", nargs="+")
    options = options.parse_args()
    event = open(options.event, "rb").read() if options.event else None
    host = Host(event)
    threading.Thread(target=host.serve_forever, daemon=True).start()
    environment = os.environ | {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{host.server_port}",
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    }
    start = time.perf_counter()
    function = subprocess.Popen(options.command, env=environment, stdout=sys.stderr)
    try:
        if not host.asked.wait(30):
            sys.exit("the function never asked for an event")
        result = {
            "start_ms": (host.first_next - start) * 1000,
            "idle_rss_mb": memory_mb(function.pid, "VmRSS"),
        }
        if event is not None:
            if not host.done.wait(120):
                sys.exit("the function never answered")
            kind, answer, at = host.answer
            result |= {
                "invoke_ms": (at - host.sent) * 1000,
                "rss_mb": memory_mb(function.pid, "VmHWM"),
                "kind": kind,
                "answer": json.loads(answer),
            }
        print(json.dumps(result))
    finally:
        function.kill()
        function.wait()


if __name__ == "__main__":
    main()
