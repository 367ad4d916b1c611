// Topics and entities of a text, with @huggingface/inference. Offsets are in code points.
import { InferenceClient } from "@huggingface/inference";

const model = `${process.env.RESSORT_SERVER ?? "http://127.0.0.1:8080"}/models/ressort/pipeline/`;
const client = new InferenceClient(process.env.RESSORT_API_KEY);
const inputs = "👍 Angela Merkel sprach in Berlin über den Haushalt.";
const parameters = { top_k: 2 };
const topics = await client.textClassification({ endpointUrl: `${model}text-classification`, inputs, parameters });
for (const { label, score } of topics) console.log(label, score.toFixed(2));
const entities = await client.tokenClassification({ endpointUrl: `${model}token-classification`, inputs });
for (const { entity_group, word, start, end } of entities) console.log(entity_group, word, `${start}-${end}`);
