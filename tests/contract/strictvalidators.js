// Ask other people's validators, as strict as they go: ajv for the schemas of the contract, and the
// AsyncAPI project's own schema for its document. Prints a line for each fault.
// node strictvalidators.js FOLDER   (docs/contract)
const fs = require("fs");
const path = require("path");
const Ajv = require("ajv").default;
const Ajv2020 = require("ajv/dist/2020").default;
const formats = require("ajv-formats").default;

const contract = process.argv[2];
const read = (...names) => JSON.parse(fs.readFileSync(path.join(contract, ...names), "utf8"));
const ours = (node) =>
  node && typeof node === "object"
    ? Object.keys(node).filter((key) => key.startsWith("x-")).concat(...Object.values(node).map(ours))
    : [];

for (const name of fs.readdirSync(path.join(contract, "schemas"))) {
  const schema = read("schemas", name);
  const { examples = [] } = schema;
  delete schema.examples; // they are data, in which words may look like ours
  const ajv = new Ajv2020({ strict: true, allErrors: true });
  formats(ajv);
  ajv.addVocabulary([...new Set(ours(schema))]);
  try {
    const validate = ajv.compile(schema);
    for (const example of examples)
      if (!validate(example)) console.log(`${name}: ${ajv.errorsText(validate.errors)}`);
  } catch (error) {
    console.log(`${name}: ${error.message}`);
  }
}

const document = read("asyncapi.json");
const meta = require(`@asyncapi/specs/schemas/${document.asyncapi}-without-$id.json`);
const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
if (!ajv.validate(meta, document)) console.log(`asyncapi.json: ${ajv.errorsText()}`);
