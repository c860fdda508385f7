// What the npm libraries say of requests. A line on stdin is a JSON list of
// {secret, headers, body}; the line that answers it is a list that says for each library whether
// it let the request through.

import { createInterface } from "node:readline";
import { Resend } from "resend";
import { Webhook as Standard, WebhookVerificationError } from "standardwebhooks";
import { Webhook as Svix } from "svix";

const resend = new Resend("re_unused");
const libraries = {
  svix: ({ secret, headers, body }) => new Svix(secret).verify(body, only("svix-", headers)),
  standardwebhooks: ({ secret, headers, body }) =>
    new Standard(secret).verify(body, only("webhook-", headers)),
  resend: ({ secret, headers, body }) =>
    resend.webhooks.verify({
      payload: body,
      headers: {
        id: headers["svix-id"],
        timestamp: headers["svix-timestamp"],
        signature: headers["svix-signature"],
      },
      webhookSecret: secret,
    }),
};

// A library that reads the names of another one passes for the wrong reason.
function only(prefix, headers) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith(prefix)));
}

function passes(verify, request) {
  try {
    verify(request);
    return true;
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const verdicts = JSON.parse(line).map((request) =>
    Object.fromEntries(
      Object.entries(libraries).map(([name, verify]) => [name, passes(verify, request)]),
    ),
  );
  process.stdout.write(`${JSON.stringify(verdicts)}\n`);
}
