#!/usr/bin/env python3
"""Slow clients for the services of samples/gevent and samples/eventlet.

    samples/clients.py PORT [--clients N] [--seconds S]

Keeps N connections to 127.0.0.1:PORT busy at being slow: silent ones, requests that stop in the middle of a header or of
a body, answers nobody reads, and requests whose answers take long. A few quick clients keep the service moving. Prints
"holding N" once all are connected.
"""
import argparse
import asyncio
import random

SILENT = [b"", b"GET /item/7 HTTP/1.1\r\nHost: sho"]
BODY_IN_PIECES = b"POST /order/%d HTTP/1.1\r\nHost: shop\r\nContent-Length: 100000\r\n\r\nbeginning"
LONG = [b"GET /watch/%d HTTP/1.1\r\nHost: shop\r\n\r\n", b"GET /pay/%d HTTP/1.1\r\nHost: shop\r\n\r\n",
        b"GET /report HTTP/1.1\r\nHost: shop\r\nX-Client: %d\r\n\r\n"]
UNREAD = b"GET /export HTTP/1.1\r\nHost: shop\r\nX-Client: %d\r\n\r\n"


async def hold(port, number, connected):
    """One slow client, for ever."""
    kind = number % 8
    while True:
        # A small buffer: what is not read soon stops the service's send.
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        try:
            if kind < 2:
                writer.write(SILENT[kind])
            elif kind == 2:
                writer.write(BODY_IN_PIECES % number)
            elif kind < 6:
                writer.write(LONG[kind - 3] % number)
            else:
                writer.write(UNREAD % number)
            await writer.drain()
            connected.release()
            if 3 <= kind < 6:
                while await reader.readline():
                    pass
            elif kind == 2:
                for _ in range(3000):
                    writer.write(b".")
                    await asyncio.sleep(3)
            else:
                await asyncio.sleep(3600)
        except OSError:
            await asyncio.sleep(1)
        finally:
            writer.close()


async def hurry(port, number):
    """A quick client: reads and orders, a few times a second."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /item/%d HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n" % random.randrange(2000))
            await reader.read()
            writer.close()
        except OSError:
            pass
        await asyncio.sleep(0.2 + 0.1 * number)


async def run(options):
    connected = asyncio.Semaphore(0)
    tasks = [asyncio.ensure_future(hold(options.port, number, connected)) for number in range(options.clients)]
    tasks += [asyncio.ensure_future(hurry(options.port, number)) for number in range(3)]
    for _ in range(options.clients):
        await connected.acquire()
    print("holding %d" % options.clients, flush=True)
    await asyncio.wait(tasks, timeout=options.seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port", type=int)
    parser.add_argument("--clients", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=3600)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
