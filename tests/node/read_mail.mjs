// What the npm parsers read in a mail. A line on stdin is a mail in base64; the line that answers
// it says for each library what it found, in words that all of them share.

import { createInterface } from "node:readline";
import { simpleParser } from "mailparser";
import PostalMime from "postal-mime";

const base64 = (content) => Buffer.from(content ?? "").toString("base64");
const boxes = (list) => list.map(({ name, address }) => [name ?? "", address]);
const bare = (id) => (id ?? "").replace(/^<|>$/g, "");

async function mailparser(raw) {
  const mail = await simpleParser(raw, {
    skipHtmlToText: true,
    skipTextToHtml: true,
    skipImageLinks: true,
    skipTextLinks: true,
  });
  return {
    subject: mail.subject,
    from: boxes(mail.from.value),
    to: boxes(mail.to.value),
    text: mail.text ?? "",
    html: mail.html || "",
    files: mail.attachments.map((each) => ({
      name: each.filename,
      type: each.contentType,
      disposition: each.contentDisposition,
      id: bare(each.contentId),
      content: base64(each.content),
    })),
  };
}

async function postalMime(raw) {
  const mail = await PostalMime.parse(raw, { attachmentEncoding: "arraybuffer" });
  return {
    subject: mail.subject,
    from: boxes([mail.from]),
    to: boxes(mail.to),
    text: mail.text ?? "",
    html: mail.html ?? "",
    files: mail.attachments.map((each) => ({
      name: each.filename,
      type: each.mimeType,
      disposition: each.disposition,
      id: bare(each.contentId),
      content: base64(each.content),
    })),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const raw = Buffer.from(line, "base64");
  const found = { mailparser: await mailparser(raw), "postal-mime": await postalMime(raw) };
  process.stdout.write(`${JSON.stringify(found)}\n`);
}
