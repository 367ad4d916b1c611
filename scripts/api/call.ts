// Calls a server with types that openapi-typescript made of its description, and prints what it finds.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const client = createClient<paths>({ baseUrl: process.env["RESSORT_SERVER"] ?? "" });

const { data, error } = await client.POST("/v1/classify", {
  body: { text: "Angela Merkel sprach in Berlin.", top_k: 1 },
});
if (error || !("usage" in data)) throw new Error(JSON.stringify(error ?? data));
const answer: components["schemas"]["Answer"] = data;
if (answer.topics?.length !== 1) throw new Error("one topic is expected");
console.log(answer.entities?.map((entity) => [entity.label, entity.text, entity.score]));

const refused = await client.POST("/v1/classify", { body: { text: "Berlin", top_k: 0 } });
if (refused.error?.code !== "invalid_request") throw new Error(JSON.stringify(refused));
