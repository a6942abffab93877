// Child processes that end with the test.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { within } from './wait.mjs';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** The path of a built program: from the environment, else the workspace's debug build. */
export function program(name, variable) {
  const path = process.env[variable] ?? `${ROOT}target/debug/${name}`;
  if (!existsSync(path)) {
    throw new Error(`${path} is not there: cargo build --bin ${name}, or set ${variable}`);
  }
  return path;
}

/** Starts a program; `lines` are awaited on its standard output. Its errors go to ours. */
export class Child {
  constructor(path, args, env = {}) {
    this.name = path.split('/').pop();
    this.child = spawn(path, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.errors = '';
    this.child.stderr.on('data', (text) => {
      this.errors = (this.errors + text).slice(-20_000);
    });
    this.ended = new Promise((resolve) => {
      this.child.once('exit', (code, signal) => resolve({ code, signal }));
      this.child.once('error', (error) => resolve({ error }));
    });
    this.output = createInterface({ input: this.child.stdout });
  }

  /** The first line it prints. */
  firstLine() {
    const line = new Promise((resolve) => this.output.once('line', resolve));
    const ended = this.ended.then((how) => {
      throw new Error(`${this.name} ended early: ${JSON.stringify(how)}\n${this.errors}`);
    });
    return within(`${this.name} is ready`, Promise.race([line, ended]));
  }

  async stop() {
    this.child.kill('SIGTERM');
    try {
      return await within(`${this.name} ends`, this.ended, 10_000);
    } catch (error) {
      this.child.kill('SIGKILL');
      throw error;
    }
  }
}
