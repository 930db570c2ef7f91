#!/usr/bin/env python3
"""SQLAlchemy's asyncio on aiosqlite: hundreds of tasks share a few connections to a slow database.

    samples/sqlalchemy/orders.py [--tasks N] [--seconds S]

SQLAlchemy runs its synchronous code in a greenlet for each call and switches to asyncio whenever it has to wait: here
for one of the pool's connections, or for the database's answer. Prints "working N" when all tasks have begun.
"""
import argparse
import asyncio
import os
import shutil
import signal
import tempfile
import time

from sqlalchemy import Column, Integer, String, event, func, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import declarative_base
from sqlalchemy.pool import AsyncAdaptedQueuePool

Table = declarative_base()
CONNECTIONS = 8
QUERY_SECONDS = 2


class Order(Table):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)
    customer = Column(String)
    amount = Column(Integer)


async def place(engine, number):
    async with AsyncSession(engine) as session:
        session.add(Order(customer="customer %d" % (number % 50), amount=number))
        await session.commit()


async def bill(engine, number):
    async with AsyncSession(engine) as session:
        rows = await session.execute(select(Order.customer, func.sum(Order.amount), func.slowly(number)).group_by(Order.customer))
        return rows.all()


async def refresh(engine, number):
    async with AsyncSession(engine) as session:
        order = (await session.execute(select(Order).limit(1))).scalar_one()
        await session.run_sync(lambda synchronous: synchronous.execute(select(func.slowly(order.id))).scalar())


async def work(engine, number, begun):
    begun.release()
    while True:
        await [bill, refresh][number % 2](engine, number)
        await asyncio.sleep(0.1)


def slowly(number):
    time.sleep(QUERY_SECONDS)  # in the connection's own thread
    return number


async def run(options, path):
    engine = create_async_engine("sqlite+aiosqlite:///" + path, poolclass=AsyncAdaptedQueuePool, pool_size=CONNECTIONS, max_overflow=0,
                                 pool_timeout=3600)
    event.listen(engine.sync_engine, "connect", lambda connection, record: connection.create_function("slowly", 1, slowly))
    async with engine.begin() as connection:
        await connection.run_sync(Table.metadata.create_all)
    for number in range(20):
        await place(engine, number)
    begun = asyncio.Semaphore(0)
    tasks = [asyncio.ensure_future(work(engine, number, begun)) for number in range(options.tasks)]
    for _ in tasks:
        await begun.acquire()
    print("working %d" % options.tasks, flush=True)
    await asyncio.wait(tasks, timeout=options.seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in tasks:
        if task.done():
            task.result()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=3600)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="coppice-orders.") as folder:

        def end(*_):
            # At once: the database's threads sleep for seconds.
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(143)

        signal.signal(signal.SIGTERM, end)
        asyncio.run(run(options, os.path.join(folder, "orders.db")))


if __name__ == "__main__":
    main()
