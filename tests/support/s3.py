"""An S3 server on this machine, for tests: moto's, on a real socket, with what it stores in this process."""

import logging
import socket
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

NAMES = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}


class S3Server:
    """Where `AWS_ENDPOINT_URL` points to. What is stored outlives a `stop`, as it does on a server that restarts."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]

    def __enter__(self) -> Self:
        self.start()
        with suppress(self.client.exceptions.BucketAlreadyOwnedByYou):
            self.client.create_bucket(Bucket=self.bucket)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        self._server = ThreadedMotoServer("127.0.0.1", self._port, verbose=False)
        self._server.start()

    def stop(self) -> None:
        """Nothing answers any more."""
        self._server.stop()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find it."""
        return {**NAMES, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}"}

    @property
    def client(self) -> Any:
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id=NAMES["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=NAMES["AWS_SECRET_ACCESS_KEY"],
            region_name=NAMES["AWS_REGION"],
        )

    def buckets(self) -> set[str]:
        return {one["Name"] for one in self.client.list_buckets()["Buckets"]}

    def files(self, below: str = "") -> dict[str, bytes]:
        """All objects of the bucket below a prefix, by what of their names follows it."""
        client, found = self.client, {}
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=below):
            for one in page.get("Contents", ()):
                body = client.get_object(Bucket=self.bucket, Key=one["Key"])["Body"].read()
                found[one["Key"].removeprefix(below).lstrip("/")] = body
        return found

    def put(self, name: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=name, Body=data)
