// @huggingface/inference against the Hugging Face routes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { InferenceClient } from "@huggingface/inference";

const server = process.env.RESSORT_SERVER;
const client = new InferenceClient(process.env.RESSORT_API_KEY);
const text = "👍 Angela Merkel traf Olaf Scholz in Köln.";
const sport = "Der FC Bayern gewann";

test("topics come best first", async () => {
  for (const endpointUrl of [`${server}/models/lexicon-topics`, server]) {
    const topics = await client.textClassification({ endpointUrl, inputs: sport });
    assert.equal(topics.length, 4);
    assert.equal(topics[0].label, "Sport");
    const two = await client.textClassification({ endpointUrl, inputs: sport, parameters: { top_k: 2 } });
    assert.deepEqual(two, topics.slice(0, 2));
  }
});

test("entities have offsets in code points", async () => {
  const endpointUrl = `${server}/models/lexicon-ner`;
  const entities = await client.tokenClassification({ endpointUrl, inputs: text });
  assert.deepEqual(entities.map((entity) => entity.entity_group), ["PER", "PER", "LOC"]);
  for (const { start, end, word } of entities) assert.equal(Array.from(text).slice(start, end).join(""), word);
  const parameters = { aggregation_strategy: "none", ignore_labels: ["B-LOC"] };
  const tokens = await client.tokenClassification({ endpointUrl, inputs: text, parameters });
  assert.equal(tokens[0].entity_group, "B-PER");
});

test("a text without tokens has no topics and no entities", async () => {
  assert.deepEqual(await client.textClassification({ endpointUrl: server, inputs: "" }), []);
  assert.deepEqual(await client.tokenClassification({ endpointUrl: `${server}/pipeline/ner`, inputs: "" }), []);
});

test("errors say what is wrong", async () => {
  const refused = (endpointUrl, parameters, message) =>
    assert.rejects(client.textClassification({ endpointUrl, inputs: text, parameters }), message);
  await refused(server, { top_k: 0 }, /top_k 0 selects no topic/);
  await refused(`${server}/models/nobody`, {}, /no model is called `nobody`/);
  const stranger = new InferenceClient("wrong");
  await assert.rejects(stranger.textClassification({ endpointUrl: server, inputs: text }), /the key is wrong/);
});
