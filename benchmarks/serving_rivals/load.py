"""A load generator: HTTP/1.1 over keep-alive connections, closed loop (each asks again when answered) or open loop.

    python load.py PORT PATH BODY_FILE --connections 64 --seconds 5 [--rate REQUESTS_A_SECOND]

In the open loop requests leave at their appointed times whatever has become of the earlier ones, and a latency counts
from the appointed time, waiting for a connection included: a server that stalls is seen to stall. Prints one JSON
object; needs uvloop only.
"""

import argparse
import asyncio
import collections
import json
import time

import uvloop


class Connection(asyncio.Protocol):
    def __init__(self, load):
        self.load, self.buffer, self.due = load, b"", 0.0

    def connection_made(self, transport):
        self.transport = transport

    def send(self, due):
        self.due = due
        self.transport.write(self.load.request)

    def data_received(self, data):
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self.buffer.lower().find(b"content-length:", 0, head)
        length = int(self.buffer[at + 15 : self.buffer.find(b"\r", at)])
        if len(self.buffer) < head + 4 + length:
            return
        status = int(self.buffer[9:12])
        self.buffer = b""
        self.load.answered(self, status)


class Load:
    def __init__(self, request, rate):
        self.request, self.rate = request, rate
        self.latencies, self.statuses = [], collections.Counter()
        self.free, self.waiting = collections.deque(), collections.deque()
        self.until = self.last = 0.0

    def answered(self, connection, status):
        now = self.last = time.perf_counter()
        self.statuses[status] += 1
        self.latencies.append(now - connection.due)
        if self.rate:
            if self.waiting:
                connection.send(self.waiting.popleft())
            else:
                self.free.append(connection)
        elif now < self.until:
            connection.send(now)

    async def run(self, port, connections, seconds):
        loop = asyncio.get_running_loop()
        made = [
            (await loop.create_connection(lambda: Connection(self), "127.0.0.1", port))[1] for _ in range(connections)
        ]
        start = time.perf_counter()
        self.until = start + seconds
        if not self.rate:
            for connection in made:
                connection.send(time.perf_counter())
            await asyncio.sleep(seconds + 0.2)
        else:
            self.free.extend(made)
            for number in range(int(self.rate * seconds)):
                due = start + number / self.rate
                wait = due - time.perf_counter()
                if wait > 0.0005:
                    await asyncio.sleep(wait)
                if self.free:
                    self.free.popleft().send(due)
                else:
                    self.waiting.append(due)
                if number % 64 == 0:
                    await asyncio.sleep(0)
            await asyncio.sleep(0.5)
        took = max(self.last - start, seconds)  # what came late counts, and so does its time
        found = sorted(self.latencies)

        def at(share):
            return round(found[min(int(share * len(found)), len(found) - 1)] * 1e3, 2) if found else None

        return {
            "a_second": round(len(found) / took),
            "unanswered": len(self.waiting),
            "statuses": dict(self.statuses),
            "p50_ms": at(0.5),
            "p99_ms": at(0.99),
        }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("body")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=float, default=0)
    options = parser.parse_args()
    with open(options.body, "rb") as stream:
        body = stream.read()
    kind = "Content-Type: application/json"
    head = f"POST {options.path} HTTP/1.1\r\nHost: a\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    load = Load(head.encode() + body, options.rate)
    print(json.dumps(uvloop.run(load.run(options.port, options.connections, options.seconds))))


main()
