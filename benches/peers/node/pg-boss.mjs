// pg-boss at its best documented settings: batches, one result per job, fetching on while batches are full.
import { PgBoss } from "pg-boss";
import { all, drained, jobs, place, results, url } from "./common.mjs";

const boss = new PgBoss({ connectionString: url, max: 20 });
boss.on("error", console.error);
await boss.start();
if (process.argv[2] === "fill") {
  await boss.createQueue("place");
  for (let n = 1; n <= jobs; n += 1000) {
    await boss.insert("place", Array.from({ length: Math.min(1000, jobs - n + 1) }, (_, at) => ({ data: { n: n + at } })));
  }
} else {
  await boss.work(
    "place",
    { batchSize: 25, localConcurrency: 2, perJobResults: true, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true },
    (batch) => Promise.all(batch.map(async (job) => {
      await place(job.data.n);
      return { id: job.id, status: "completed" };
    })));
  await all;
  await drained(async () =>
    (await results.query("SELECT EXISTS (SELECT FROM pgboss.job WHERE name = 'place' AND state < 'completed')::int AS left")).rows[0].left);
  console.log(JSON.stringify({ drained: Date.now() }));
}
await boss.stop({ graceful: true });
await results.end();
