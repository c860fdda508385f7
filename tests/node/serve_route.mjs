// Serves a route handler, POST(request) -> response, as Next.js does.
// node serve_route.mjs FILE PORT

import { createServer } from "node:http";
import { Readable } from "node:stream";
import { pathToFileURL } from "node:url";

const [file, port] = process.argv.slice(2);
const { POST } = await import(pathToFileURL(file));

createServer(async (incoming, outgoing) => {
  const { method, headers, url } = incoming;
  const body = Readable.toWeb(incoming);
  const request = new Request(`http://127.0.0.1${url}`, { method, headers, body, duplex: "half" });
  const response = await POST(request);
  outgoing.writeHead(response.status).end(await response.text());
}).listen(Number(port), "127.0.0.1");
