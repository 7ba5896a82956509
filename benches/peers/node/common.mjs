// What every measured queue of Node.js shares: the request, the row that keeps its result, the pool.
import http from "node:http";
import pg from "pg";

const [host, port] = process.env.ANSWERER.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 50, noDelay: true });
export const url = process.env.DATABASE_URL;
export const jobs = Number(process.env.JOBS);
export const results = new pg.Pool({ connectionString: url, max: 20 });

/** The same request that callq sends, and its answer. */
export function call(n) {
  const body = JSON.stringify({
    Robot_Account: "bench", CalleeList_Account: [`callee-${n}`], Timeout: 45000, UserData: `{"n":${n}}`,
    CallInfo: { MediaType: "Audio", RoomId: `callq_${n}_1_0123456789abcdef`, RoomIdType: 2 },
  });
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host, port, agent, method: "POST", path: "/v4/call_engine_http_srv/start_call_by_robot?sdkappid=1&random=7&contenttype=json",
        headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) } },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (part) => (text += part));
        response.on("end", () => resolve(JSON.parse(text)));
      });
    request.on("error", reject);
    request.end(body);
  });
}

/** One job: the request, and its result as a row. */
export async function place(n) {
  const { Response } = await call(n);
  await results.query({ name: "keep", text: "INSERT INTO bench_results (n, call_id, callee_results) VALUES ($1, $2, $3)",
    values: [n, Response.CallId, JSON.stringify(Response.CallResult)] });
  done += 1;
  if (done === jobs) finished();
}

let done = 0;
let finished;
/** When every job has its result. */
export const all = new Promise((resolve) => (finished = resolve));

/** Waits until `left()` is 0. */
export async function drained(left) {
  while ((await left()) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
}
