// Calls the npm client `resend`, in a version that a line on stdin names: {library, call, given}.
// The line that answers it is the client's result. Content {"bytes": base64} becomes a Buffer,
// as a program would have it from a file.
// The clients read RESEND_BASE_URL and RESEND_API_KEY from the environment.

import { createInterface } from "node:readline";

async function client(library) {
  const { Resend } = await import(library);
  return new Resend();
}

function withBuffers(value) {
  if (Array.isArray(value)) return value.map(withBuffers);
  if (value === null || typeof value !== "object") return value;
  if ("bytes" in value) return Buffer.from(value.bytes, "base64");
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withBuffers(each)]));
}

for await (const line of createInterface({ input: process.stdin })) {
  const { library, call, given } = JSON.parse(line);
  const [resource, method] = call.split(".");
  const resend = await client(library);
  const result = await resend[resource][method](withBuffers(given));
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
