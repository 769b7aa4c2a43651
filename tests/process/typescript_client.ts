// A program that uses the types that openapi-typescript makes of the OpenAPI document.
import type { components, paths } from "./dcgan.js";

type Body = components["schemas"]["GenerateBody"];
type Query = NonNullable<paths["/generate"]["post"]["parameters"]["query"]>;
type Answers = paths["/generate"]["post"]["responses"];
type Generated = Answers[200]["content"]["application/json"];
type Problem = Answers[422]["content"]["application/problem+json"];
type Line = components["schemas"]["FrameLine"];

const server = process.argv[2];

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

async function generate(query: Query, body?: Body): Promise<Generated> {
  const given = Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]);
  const init = { method: "POST", headers: { "Content-Type": "application/json" } };
  const sent = body ? { ...init, body: JSON.stringify(body) } : { method: "POST" };
  const answer = await fetch(`${server}/generate?${new URLSearchParams(given)}`, sent);
  if (answer.ok) return (await answer.json()) as Generated;
  throw (await answer.json()) as Problem;
}

async function lines(): Promise<Line[]> {
  const body: components["schemas"]["InterpolateBody"] = { points: [3, 17], steps: 4, format: "ndjson" };
  const answer = await fetch(`${server}/interpolate`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  return text.trim().split("\n").map((line) => JSON.parse(line) as Line);
}

async function main(): Promise<void> {
  // Nothing is required: neither parameters nor fields of a body.
  const nothing: Body = {};
  check((await generate({}, nothing)).images.length === 16, "16 images by default");

  const links = await generate({ format: "urls" }, { n: 2, seed: 42 });
  for (const { seed, url, width, height, png } of links.images) {
    check(seed !== undefined && width === height && png === undefined, "an image without its file");
    check(typeof url === "string" && url.startsWith(`${server}/images/`), "an absolute URL");
    check((await fetch(url)).ok, "the image at the URL");
  }

  for (const line of await lines()) {
    check("position" in line && (line.png ?? "").length > 0, "a frame in every line");
  }

  try {
    await generate({ n: 257 });
    check(false, "257 images are refused");
  } catch (error) {
    const problem = error as Problem;
    check(problem.type === "/problems/invalid-parameter", "the kind of the problem");
    check(problem.errors?.[0]?.parameter === "n", "the parameter that is refused");
  }
  console.log("all responses are as expected");
}

await main();
