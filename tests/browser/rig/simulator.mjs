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

  /** Something goes wrong; `fault` is a `Fault`. */
  inject(fault) {
    return this.ask('POST', '/sim/faults', fault);
  }

  /** A user's sessions that are not over. */
  sessions(user) {
    return this.ask('GET', `/sim/users/${user.userId}/sessions`);
  }

  /** Waits until the sessions of a user satisfy a condition. */
  untilSessions(user, what, condition) {
    return until(what, async () => {
      const sessions = await this.sessions(user);
      return condition(sessions) && sessions;
    });
  }

  /** Waits until a call is over. */
  untilOver(id) {
    return this.untilCall(id, 'over', ({ state }) => /disconnected|terminated/.test(state));
  }

  /** Waits until the report of a call satisfies a condition. */
  untilCall(id, what, condition) {
    let report;
    return until(`call ${id}: ${what}`, async () => {
      report = await this.call(id);
      return condition(report) && report;
    }).catch((error) => {
      throw new Error(`${error.message}\n${JSON.stringify(report)}`);
    });
  }

  /** No rule was broken since the last time this was asked. */
  async brokeNoRule() {
    const broken = await this.ask('GET', '/sim/violations');
    await this.ask('DELETE', '/sim/violations');
    if (broken.length === 0) return;
    const log = await this.ask('GET', '/sim/log?since=0');
    const last = log.slice(-30).map(({ kind, text }) => `${kind} ${text.slice(0, 400)}`);
    throw new Error(`broken rules: ${JSON.stringify(broken, null, 1)}\n${last.join('\n')}`);
  }

  async stop() {
    await this.child.stop();
    await rm(this.state, { recursive: true, force: true });
  }
}
