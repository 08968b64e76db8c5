"""A server that speaks S3, for the tests: on this machine, in memory, in a process of its own."""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@contextmanager
def speaking_s3() -> Iterator[dict[str, str]]:
    """Run the server until the block ends; yield the variables that lead to it."""
    command = [sys.executable, "-W", "ignore", "-c", SERVER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout
            yield {
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{int(server.stdout.readline())}",
                "AWS_ALLOW_HTTP": "true",
                "AWS_ACCESS_KEY_ID": "somebody",
                "AWS_SECRET_ACCESS_KEY": "anything",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
        finally:
            server.kill()


def make_bucket(variables: dict[str, str]) -> str:
    """Make a bucket and return its URL."""
    name = f"test-{uuid.uuid4().hex}"
    httpx2.put(f"{variables['AWS_ENDPOINT_URL']}/{name}", timeout=60).raise_for_status()
    return f"s3://{name}"
