// A worker process of graphile-worker for the bench `compare`, which passes the environment.
// With the argument `migrate`, it creates the tables and ends.

import http from "node:http";
import { Logger, run, runMigrations } from "graphile-worker";

const { DATABASE_URL, SERVICE_URL, API_KEY, API_SECRET, CONCURRENCY } = process.env;

// The default logger would print a line for each job.
const logger = new Logger(() => (level, message) => {
  if (level === "error" || level === "warning") console.error(`graphile-worker: ${message}`);
});

const agent = new http.Agent({ keepAlive: true });

function post(path, body, headers) {
  return new Promise((resolve, reject) => {
    headers = { "content-type": "application/json", ...headers };
    const request = http.request(SERVICE_URL + path, { method: "POST", agent, headers }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`the service responded with ${response.statusCode}: ${text}`));
      });
    });
    request.on("error", reject);
    request.end(JSON.stringify(body));
  });
}

async function work() {
  const token = JSON.parse(await post("/auth/authenticate", { apiKey: API_KEY, secret: API_SECRET }));
  const headers = { authorization: `Bearer ${token.accessToken}` };
  const concurrentJobs = Number(CONCURRENCY);
  const worker = {
    connectionString: DATABASE_URL,
    concurrentJobs,
    maxPoolSize: concurrentJobs + 2,
    // The settings for throughput on the page "Performance" of graphile-worker's documentation.
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
    logger,
  };
  const taskList = { send: (message) => post("/endpoint", message, headers) };
  const runner = await run({ preset: { worker }, taskList });
  await runner.promise;
}

if (process.argv[2] === "migrate") {
  await runMigrations({ preset: { worker: { connectionString: DATABASE_URL, logger } } });
} else {
  // Standard input ends with the bench, even if that is killed.
  process.stdin.on("end", () => process.exit()).resume();
  await work();
}
