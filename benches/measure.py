"""Measures the lab's programs and their Python peers side by side and prints the ratios.

Both sides of a comparison run in the same minute against the same server, in turns, and the medians are compared: what
the machine does besides slows both. Run it through scripts/bench.sh, which builds the programs and starts local AWS.

Usage: measure.py upload|function|help|network|pki [--runs N]
"""

import argparse
import io
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
LAB = ["--lab", "hol02", "--owner", "bench"]
PROGRAMS = ["net-up", "host-up", "pipeline-up", "vpn-setup", "upload-sample-image", "lab-status", "lab-sim"]


def program(name):
    path = shutil.which(name)
    if not path:
        sys.exit(f"measure.py: {name} is not on PATH; run scripts/bench.sh")
    return path


def run(command):
    """Runs a command and answers its seconds and its peak memory in MB."""
    timed = [sys.executable, "-I", "-S", str(HERE / "time_command.py"), *command]
    child = subprocess.run(timed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
    result = json.loads(child.stdout)
    if result["exit"]:
        sys.exit(f"measure.py: {command[0]} failed with {result['exit']}:\n{child.stderr.decode()}")
    return result["seconds"], result["mb"]


def take_turns(runs, *commands):
    """Runs the commands in turns, once unmeasured first; answers (median seconds, median MB) for each."""
    for command in commands:
        run(command)
    results = [[run(command) for command in commands] for _ in range(runs)]
    return [tuple(map(statistics.median, zip(*column))) for column in zip(*results)]


def show(what, ours, theirs, unit, target=""):
    times = f"{theirs / ours:6.1f} x" if theirs else " " * 8
    peer = f"{theirs:10.1f} {unit}" if theirs else " " * (11 + len(unit))
    print(f"{what:48} {ours:10.1f} {unit} {peer} {times}   {target}")


def heading(text):
    print(f"\n{text:48} {'ours':>13} {'Python':>13}    ratio   target")


def measure_upload(runs):
    import boto3

    bucket = "lab-input-bucket-bench"
    boto3.client("s3").create_bucket(Bucket=bucket)
    cell = [sys.executable, str(HERE / "notebook_cell.py"), bucket]
    ours, theirs = take_turns(runs, [program("upload-sample-image"), *LAB], cell)
    heading("upload-sample-image and the notebook cell")
    show("wall", ours[0] * 1000, theirs[0] * 1000, "ms", "at least 5 x")
    show("peak memory", ours[1], theirs[1], "MB", "under 20 MB")


def make_photo():
    """A 2000x1500 JPEG with as much detail as a camera's."""
    from PIL import Image, ImageFilter

    channels = [Image.effect_noise((2000, 1500), 80).filter(ImageFilter.GaussianBlur(2)) for _ in range(3)]
    jpeg = io.BytesIO()
    Image.merge("RGB", channels).save(jpeg, "JPEG", quality=90)
    return jpeg.getvalue()


def host(command, event=None):
    arguments = ["--event", event] if event else []
    answer = subprocess.run(
        [sys.executable, str(HERE / "function_host.py"), *arguments, "--", *command],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
    )
    if answer.returncode:
        sys.exit(f"measure.py: {command} failed:\n{answer.stderr.decode()}")
    result = json.loads(answer.stdout)
    if event and len(result["answer"].get("processed", [])) != 1:
        sys.exit(f"measure.py: {command} processed nothing: {result['answer']}\n{answer.stderr.decode()}")
    return result


def measure_function(runs):
    import boto3

    bootstrap = os.environ["BOOTSTRAP"]
    s3 = boto3.client("s3")
    for bucket in ("lab-bench-in", "lab-bench-out"):
        s3.create_bucket(Bucket=bucket)
    os.environ["OUTPUT_BUCKET"] = "lab-bench-out"
    photo = make_photo()
    etag = s3.put_object(Bucket="lab-bench-in", Key="photo.jpg", Body=photo)["ETag"].strip('"')
    commands = [[bootstrap], [sys.executable, str(HERE / "function_peer.py")]]
    results = [[], []]
    with tempfile.TemporaryDirectory() as folder:
        event = pathlib.Path(folder) / "event.json"
        for n in range(runs + 1):
            # A sequencer of its own, or the function would rightly find its work done.
            record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "lab-bench-in"}, "object": {
                "key": "photo.jpg", "size": len(photo), "eTag": etag, "sequencer": f"{n:018X}"}}}
            event.write_text(json.dumps({"Records": [record]}))
            turn = [host(command, str(event)) for command in commands]
            if n:
                results[0].append(turn[0])
                results[1].append(turn[1])
    median = lambda side, field: statistics.median(result[field] for result in results[side])
    heading("image-processor and a Python handler with boto3")
    show("spawn to first GET /next", median(0, "start_ms"), median(1, "start_ms"), "ms", "under 25 ms")
    show("memory then", median(0, "idle_rss_mb"), median(1, "idle_rss_mb"), "MB")
    show("2000x1500 JPEG to PNG, S3 included", median(0, "invoke_ms"), median(1, "invoke_ms"), "ms")
    show("its peak memory, whole process", median(0, "rss_mb"), median(1, "rss_mb"), "MB", "under 40 MB")
    show("bootstrap's size", os.path.getsize(bootstrap) / 1e6, None, "MB")


def measure_help(runs):
    heading("--help")
    for name in PROGRAMS:
        ((seconds, _),) = take_turns(runs, [program(name), "--help"])
        show(name, seconds * 1000, None, "ms", "under 20 ms")
    show("net-up's size", os.path.getsize(program("net-up")) / 1e6, None, "MB", "under 25 MB")


def make_network_in_sequence():
    """HOL 02's network by boto3, one call after another; answers its seconds and its number of calls."""
    import boto3

    start = time.perf_counter()
    ec2 = boto3.client("ec2")
    calls = 0

    def call(operation, **parameters):
        nonlocal calls
        calls += 1
        return getattr(ec2, operation)(**parameters)

    vpc = call("create_vpc", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    call("modify_vpc_attribute", VpcId=vpc, EnableDnsHostnames={"Value": True})
    gateway = call("create_internet_gateway")["InternetGateway"]["InternetGatewayId"]
    call("attach_internet_gateway", VpcId=vpc, InternetGatewayId=gateway)
    public = call("create_subnet", VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    call("modify_subnet_attribute", SubnetId=public, MapPublicIpOnLaunch={"Value": True})
    call("create_subnet", VpcId=vpc, CidrBlock="10.0.2.0/24")
    table = call("create_route_table", VpcId=vpc)["RouteTable"]["RouteTableId"]
    call("create_route", RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    call("associate_route_table", RouteTableId=table, SubnetId=public)
    me = [{"CidrIp": os.environ.get("LAB_MY_IP", "203.0.113.250") + "/32"}]
    for name, ports in (("bench-public-ec2", (22, 8888)), ("bench-client-vpn", ()), ("bench-private-ec2", (22, 8080))):
        group = call("create_security_group", GroupName=name, Description=name, VpcId=vpc)["GroupId"]
        if ports:
            rules = [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": me} for port in ports]
            call("authorize_security_group_ingress", GroupId=group, IpPermissions=rules)
    return time.perf_counter() - start, calls


def read_calls(log, since):
    """The log's AWS calls after `since` lines: how many, how many of them write, and their milliseconds in sum."""
    calls = [json.loads(line) for line in log.read_text().splitlines()[since:]]
    writes = [call for call in calls if not call["action"].startswith(("Describe", "Get", "List"))]
    return len(calls), len(writes), sum(call["ms"] for call in calls)


def measure_network():
    log = pathlib.Path(os.environ["CALL_LOG"])
    make_network_in_sequence()  # unmeasured: the server's first calls load its own parts
    seconds, calls = make_network_in_sequence()
    seen, _, _ = read_calls(log, 0)
    net_up = [program("net-up"), *LAB]
    print(f"\n{'net-up, every call 100 ms slower':36}       wall   its calls in sequence   calls  writes   peak memory")
    for what, command, target in [
        ("up, the first time", ["up", "--yes"], "wall under half of its calls"),
        ("up, nothing to change", ["up", "--yes"], "under 500 ms, at most 12 calls, no write"),
        ("plan --check", ["plan", "--check"], ""),
        ("down", ["down", "--yes"], ""),
    ]:
        wall, memory = run([*net_up, *command])
        count, writes, total = read_calls(log, seen)
        seen += count
        ratio = total / 1000 / wall
        print(
            f"{what:36} {wall * 1000:7.0f} ms {total:13.0f} ms {ratio:4.1f} x {count:7} {writes:7} {memory:10.1f} MB   {target}"
        )
    print(f"{'boto3, the fewest calls, in sequence':36} {seconds * 1000:7.0f} ms {'':23} {calls:5}")


EASY_RSA = "/usr/share/easy-rsa/easyrsa"


def in_new_folder(script):
    """A command that runs a script in a folder of its own, which $F names, and removes it."""
    return ["sh", "-c", f'set -e; F=$(mktemp -d); trap "rm -rf $F" EXIT; {script}']


def measure_pki(runs):
    ours = in_new_folder(f'LAB_HOME=$F {program("vpn-setup")} {" ".join(LAB)} client add laptop')
    if not os.path.exists(EASY_RSA):
        sys.exit(f"measure.py: {EASY_RSA} is missing: apt-get install easy-rsa")
    steps = ["init-pki", "build-ca nopass", "build-server-full server nopass", "build-client-full laptop nopass"]
    # easy-rsa finds its configuration in the folder it is in.
    script = "; ".join(f"{EASY_RSA} {step}" for step in steps)
    theirs = in_new_folder(f"export EASYRSA_BATCH=1 EASYRSA_PKI=$F/pki; cd {os.path.dirname(EASY_RSA)}; {script}")
    (mine, memory), (peer, _) = take_turns(runs, ours, theirs)
    print(f"\n{'vpn-setup and easy-rsa':48} {'ours':>13} {'easy-rsa':>13}    ratio   target")
    show("CA, server and one client", mine * 1000, peer * 1000, "ms", "at least 4 x")
    show("peak memory", memory, None, "MB")
    hundred = " ".join(f"client{n}" for n in range(100))
    add = f"{program('vpn-setup')} {' '.join(LAB)} client add {hundred}"
    many, alone = in_new_folder(f"LAB_HOME=$F {add}"), in_new_folder(f"LAB_HOME=$F taskset -c 0 {add}")
    (all_cores, _), (one_core, _) = take_turns(max(1, runs // 3), many, alone)
    print(f"\n{'':48} {'all cores':>13} {'one core':>13}    ratio   target")
    show("100 clients in one call", all_cores * 1000, one_core * 1000, "ms", f"near {os.cpu_count()} x")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("what", choices=["upload", "function", "help", "network", "pki"])
    options.add_argument("--runs", type=int, default=10)
    options = options.parse_args()
    measures = {
        "upload": lambda: measure_upload(options.runs),
        "function": lambda: measure_function(options.runs),
        "help": lambda: measure_help(options.runs),
        "network": measure_network,
        "pki": lambda: measure_pki(options.runs),
    }
    measures[options.what]()


if __name__ == "__main__":
    main()
