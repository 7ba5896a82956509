"""pgqueuer at its best documented settings: asyncpg, uvloop, batches of 50, of which it wants room for two; 50 requests at once."""

import asyncio
import json
import os
import sys
import time

import aiohttp
import asyncpg
import uvloop
from pgqueuer import PgQueuer, Queries
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver

URL = os.environ["DATABASE_URL"]
JOBS = int(os.environ["JOBS"])
PATH = f"http://{os.environ['ANSWERER']}/v4/call_engine_http_srv/start_call_by_robot?sdkappid=1&random=7&contenttype=json"


async def fill() -> None:
    connection = await asyncpg.connect(URL)
    queries = Queries(AsyncpgDriver(connection))
    await queries.install()
    for first in range(1, JOBS + 1, 1000):
        numbers = range(first, min(first + 1000, JOBS + 1))
        await queries.enqueue(["place"] * len(numbers), [str(n).encode() for n in numbers], [0] * len(numbers))
    await connection.close()


async def work() -> None:
    results = await asyncpg.create_pool(URL, min_size=20, max_size=20)
    own = await asyncpg.create_pool(URL, min_size=2, max_size=20)
    queuer = PgQueuer(AsyncpgPoolDriver(own))
    done = 0
    finished = asyncio.Event()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=50)) as http:

        @queuer.entrypoint("place")
        async def place(job) -> None:
            nonlocal done
            n = int(job.payload)
            body = {
                "Robot_Account": "bench", "CalleeList_Account": [f"callee-{n}"], "Timeout": 45000, "UserData": '{"n":%d}' % n,
                "CallInfo": {"MediaType": "Audio", "RoomId": f"callq_{n}_1_0123456789abcdef", "RoomIdType": 2},
            }
            text = json.dumps(body, separators=(",", ":"))
            async with http.post(PATH, data=text, headers={"content-type": "application/json"}) as response:
                answer = (await response.json())["Response"]
            await results.execute(
                "INSERT INTO bench_results (n, call_id, callee_results) VALUES ($1, $2, $3)",
                n, answer["CallId"], json.dumps(answer["CallResult"]))
            done += 1
            if done == JOBS:
                finished.set()

        running = asyncio.create_task(queuer.run(batch_size=50, max_concurrent_tasks=100))
        waiting = asyncio.create_task(finished.wait())
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        while await results.fetchval("SELECT EXISTS (SELECT FROM pgqueuer)"):
            await asyncio.sleep(0.005)
        print(json.dumps({"drained": time.time() * 1000}), flush=True)
        queuer.shutdown.set()
        await running
    await results.close()
    await own.close()


uvloop.run(fill() if sys.argv[1] == "fill" else work())
