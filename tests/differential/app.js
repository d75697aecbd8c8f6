// An app in Node that notes what it acts on, in the ways in which apps read a path.

const fs = require("fs");
const http = require("http");
const path = require("path");

// Bytes first, characters then; what is no UTF-8 is replaced, as elsewhere.
const decoded = (text) => {
  const bytes = text.replace(/%([0-9a-f]{2})/gi, (_, digits) => String.fromCharCode(parseInt(digits, 16)));
  return Buffer.from(bytes, "latin1").toString("utf8");
};

http
  .createServer((request, response) => {
    const plain = decoded(request.url.split("?")[0].replace(/^https?:\/\/[^/]*/i, ""));
    const base = "http://app.invalid";
    const parsed = URL.canParse(request.url, base) ? decoded(new URL(request.url, base).pathname) : plain;
    // Names of files on Windows: no letter case, no dots or blanks at the end, two kinds of slashes.
    const windows = path.win32.normalize(plain).replace(/\\/g, "/");
    const trimmed = windows.split("/").map((name) => name.replace(/[. ]+$/, "")).join("/").toLowerCase();
    const note = {
      case: request.headers["x-case"] ?? "",
      readings: [
        plain,
        parsed,
        // A folder that is served.
        path.posix.normalize(plain),
        // Routers, Express for one, know no letter case.
        plain.toLowerCase(),
        trimmed,
        // Servlets cut off what follows a semicolon, and look at dots later.
        path.posix.normalize(plain.replace(/;[^/]*/g, "")),
        // One time too often.
        path.posix.normalize(decoded(plain)),
      ],
      method: request.headers["x-http-method-override"] ?? request.method,
      headers: Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)])),
    };
    fs.appendFileSync(process.env.NOTES, JSON.stringify(note) + "\n");
    response.end("noted");
  })
  .listen(Number(process.env.PORT), "127.0.0.1");
