// The simulator as a process, and its control API.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Child, program } from './process.mjs';
import { until } from './wait.mjs';

export class Simulator {
  /** Starts one. `args` are added to its command line. */
  static async start(args = []) {
    const state = await mkdtemp(join(tmpdir(), 'offhook-browser-'));
    const child = new Child(program('offhook-cloudsim', 'OFFHOOK_CLOUDSIM'), ['--state', state, ...args]);
    const ready = JSON.parse(await child.firstLine());
    const users = await Promise.all(
      ready.users.map(async (user) => ({
        ...user,
        token: (await readFile(user.tokenFile, 'utf8')).trim(),
      })),
    );
    return Object.assign(new Simulator(), { child, state, ...ready, users });
  }

  /** Host and port of REST and streaming. */
  get address() {
    return new URL(this.restUrl).host;
  }

  async ask(method, path, body) {
    const response = await fetch(new URL(path, this.controlUrl), {
      method,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  /** Makes a user; `spec` is a `UserSpec`. */
  addUser(spec) {
    return this.ask('POST', '/sim/users', spec);
  }

  /** Rings a phone; `spec` is an `InboundSpec`. Returns the conversation's id. */
  async callUser(spec) {
    return (await this.ask('POST', '/sim/calls', spec)).conversationId;
  }

  /** How calls placed by phones behave; `spec` is an `OutboundSpec`. */
  outbound(spec) {
    return this.ask('POST', '/sim/outbound', spec);
  }

  call(id) {
    return this.ask('GET', `/sim/calls/${id}`);
  }

  command(id, verb) {
    return this.ask('POST', `/sim/calls/${id}/${verb}`);
  }

  /** Waits until the report of a call satisfies a condition. */
  untilCall(id, what, condition) {
    return until(`call ${id}: ${what}`, async () => {
      const report = await this.call(id);
      return condition(report) && report;
    });
  }

  violations() {
    return this.ask('GET', '/sim/violations');
  }

  /** The last lines of what the simulator saw, for a failed test. */
  async log(lines = 60) {
    const log = await this.ask('GET', '/sim/log?since=0');
    return log.slice(-lines).map((line) => JSON.stringify(line)).join('\n');
  }

  async stop() {
    await this.child.stop();
    await rm(this.state, { recursive: true, force: true });
  }
}
