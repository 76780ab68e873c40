// The page of the API, made from its OpenAPI description.

const VERBS = ["get", "put", "post", "patch", "delete"];

const description = await (await fetch("/openapi.json")).json();
const page = document.getElementById("api");
const groups = Map.groupBy(operations(description), (operation) => operation.tags?.[0] ?? "other");
page.replaceChildren(
  paragraph(description.info.summary),
  paragraph("Send the token as Authorization: Bearer, where there is one. A WebSocket at /api/streams/NAME/live has pictures with their depth."),
  ...[...groups].flatMap(([tag, members]) => [heading(tag), ...members.map(article)]),
);

function operations({ paths }) {
  return Object.entries(paths).flatMap(([path, verbs]) =>
    VERBS.filter((verb) => verbs[verb]).map((verb) => ({ path, verb, ...verbs[verb] })));
}

function article(operation) {
  const box = make("article");
  const line = make("code");
  const verb = make("span", operation.verb.toUpperCase());
  verb.className = "verb";
  line.append(verb, ` ${operation.path}`);
  box.append(line, paragraph(operation.description ?? operation.summary));
  const fields = body(operation);
  if (fields.length) box.append(bullets(fields.map(([name, schema]) => `${name}: ${words(schema)}`)));
  return box;
}

function body(operation) {
  const schema = operation.requestBody?.content["application/json"]?.schema;
  if (!schema) return [];
  return Object.entries(description.components.schemas[schema.$ref.split("/").at(-1)].properties);
}

function words(schema) {
  const types = (schema.anyOf ?? [schema]).map((s) => s.type).filter((t) => t && t !== "null").join(" or ");
  return [types, schema.description ?? schema.anyOf?.find((s) => s.description)?.description].filter(Boolean).join(". ");
}

function bullets(lines) {
  const list = make("ul");
  list.append(...lines.map((text) => make("li", text)));
  return list;
}

function heading(text) {
  return make("h2", text[0].toUpperCase() + text.slice(1));
}

function paragraph(text) {
  const made = make("p");
  made.append(...text.split("`").map((part, i) => (i % 2 ? make("code", part) : part)));
  return made;
}

function make(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
