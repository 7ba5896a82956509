// graphile-worker at its best documented settings: a local queue, and completions in batches.
import { run, runMigrations } from "graphile-worker";
import { all, drained, jobs, place, results, url } from "./common.mjs";

const { Logger } = await import("graphile-worker");
const logger = new Logger(() => (level, message) => (level === "error" ? console.error(message) : undefined));

if (process.argv[2] === "fill") {
  await runMigrations({ connectionString: url, logger });
  await results.query(
    "SELECT count(*) FROM graphile_worker.add_jobs((SELECT array_agg((('place', json_build_object('n', n), NULL, NULL, NULL, NULL, NULL, NULL)::graphile_worker.job_spec)) FROM generate_series(1, $1::int) AS n))",
    [jobs]);
} else {
  const runner = await run({
    connectionString: url, logger, concurrency: 50, noHandleSignals: true, pollInterval: 200, maxPoolSize: 20,
    taskList: { place: ({ n }) => place(n) },
    preset: { worker: { localQueue: { size: 200 }, completeJobBatchDelay: 5, failJobBatchDelay: 5 } },
  });
  await all;
  await drained(async () => (await results.query("SELECT EXISTS (SELECT FROM graphile_worker._private_jobs)::int AS left")).rows[0].left);
  console.log(JSON.stringify({ drained: Date.now() }));
  await runner.stop();
}
await results.end();
