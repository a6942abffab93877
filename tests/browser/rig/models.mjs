// The models of Genesys's platform client, read from its type declarations: the JavaScript client
// hands on whatever JSON it gets, so the declarations are what a reply must agree with.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const declarations = readFileSync(
  createRequire(import.meta.url).resolve('purecloud-platform-client-v2/index.d.ts'),
  'utf8',
);

/** Fields of each model: name, type, whether it may be missing. */
const models = new Map(
  [...declarations.matchAll(/export interface (\w+) \{([^]*?)\n\t\}/g)].map(([, name, body]) => [
    name,
    new Map(
      [...body.matchAll(/^\s*"([^"]+)"(\??): (.+);$/gm)].map(([, field, optional, type]) => [
        field,
        { type, optional: optional === '?' },
      ]),
    ),
  ]),
);

/** What a reference to an entity has. */
const REFERENCE = ['id', 'name', 'selfUri'];

/** What in a reply the model does not allow, one line each. */
export function faults(value, model) {
  const found = [];
  check(value, `Models.${model}`, model, found);
  return found;
}

function check(value, type, path, found) {
  const array = type.match(/^Array<(.+)>$/)?.[1];
  const map = type.match(/^\{ \[key: string\]: (.+); \}$/)?.[1];
  const model = type.match(/^Models\.(\w+)$/)?.[1];
  if (value === null || type === 'object' || type === 'any') return;
  if (array) {
    if (!Array.isArray(value)) found.push(`${path} is no array`);
    else value.forEach((item, n) => check(item, array, `${path}[${n}]`, found));
  } else if (map) {
    for (const [key, item] of Object.entries(value)) check(item, map, `${path}.${key}`, found);
  } else if (model) {
    checkModel(value, model, path, found);
  } else if (typeof value !== type) {
    found.push(`${path} is ${JSON.stringify(value)}, declared ${type}`);
  }
}

function checkModel(value, model, path, found) {
  const fields = models.get(model);
  if (!fields) return found.push(`${path}: no model ${model} is declared`);
  if (typeof value !== 'object') return found.push(`${path} is no object`);
  // An object inside another may be a reference: it then has its id and no more.
  const reference = path.includes('.') && Object.keys(value).every((key) => REFERENCE.includes(key));
  for (const [field, { optional }] of fields) {
    if (!optional && !reference && !(field in value)) found.push(`${path}.${field} is missing`);
  }
  for (const [field, item] of Object.entries(value)) {
    const declared = fields.get(field);
    if (!declared) found.push(`${path}.${field} is not declared`);
    else check(item, declared.type, `${path}.${field}`, found);
  }
}
