// Genesys's official platform client reads the simulator's users, stations, conversations and
// channels, and every reply agrees with the client's own models.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Browser } from './rig/chromium.mjs';
import { faults } from './rig/models.mjs';
import { Simulator } from './rig/simulator.mjs';

let simulator;
let browser;
let page;
let user;

before(async () => {
  simulator = await Simulator.start();
  browser = await Browser.start(simulator.address);
  page = await browser.open('/platform.html');
  [user] = simulator.users;
});

after(async () => {
  await browser?.stop();
  await simulator?.stop();
});

/** Calls a method and checks its reply against a model. */
async function read(model, api, method, ...args) {
  const ask = (args) => window.ask(...args);
  const { body, error } = await page.evaluate(ask, [user.token, api, method, args]);
  assert.equal(error, undefined, `${method}: ${JSON.stringify(error)}`);
  assert.deepEqual(faults(body, model), [], `${method}: ${JSON.stringify(body)}`);
  return body;
}

test('the check finds what a model does not allow', () => {
  assert.deepEqual(faults({ id: 'C', connectUri: 'wss://x', expires: '2026-01-01T00:00:00Z' }, 'Channel'), []);
  assert.deepEqual(faults({ id: 7, extra: true }, 'Channel'), [
    'Channel.id is 7, declared string',
    'Channel.extra is not declared',
  ]);
  assert.deepEqual(faults({ entities: [{ id: 1 }] }, 'ChannelEntityListing'), [
    'ChannelEntityListing.entities[0].id is 1, declared string',
  ]);
  assert.deepEqual(faults({ name: 'x' }, 'User'), ['User.version is missing']);
});

test('reads users and the organization', async () => {
  const me = await read('UserMe', 'UsersApi', 'getUsersMe', { expand: ['station'] });
  assert.equal(me.id, user.userId);
  assert.equal(me.station.effectiveStation.id, user.stationId);
  await read('User', 'UsersApi', 'getUser', user.userId, {});
  const all = await read('UserEntityListing', 'UsersApi', 'getUsers', { pageSize: 25 });
  assert.ok(all.entities.some(({ id }) => id === user.userId));
  await read('Organization', 'OrganizationApi', 'getOrganizationsMe');
});

test('reads stations', async () => {
  const station = await read('Station', 'StationsApi', 'getStation', user.stationId);
  assert.equal(station.webRtcUserId, user.userId);
  const found = await read('StationEntityListing', 'StationsApi', 'getStations', { webRtcUserId: user.userId });
  assert.deepEqual(found.entities.map(({ id }) => id), [user.stationId]);
  const stations = await read('UserStations', 'UsersApi', 'getUserStation', user.userId);
  assert.equal(stations.associatedStation.id, user.stationId);
});

test('makes and reads notification channels', async () => {
  const channel = await read('Channel', 'NotificationsApi', 'postNotificationsChannels', { connectionType: 'streaming' });
  const topic = { id: `v2.users.${user.userId}.conversations` };
  await read('ChannelTopicEntityListing', 'NotificationsApi', 'putNotificationsChannelSubscriptions', channel.id, [topic]);
  const topics = await read('ChannelTopicEntityListing', 'NotificationsApi', 'getNotificationsChannelSubscriptions', channel.id);
  assert.deepEqual(topics.entities.map(({ id }) => id), [topic.id]);
  const channels = await read('ChannelEntityListing', 'NotificationsApi', 'getNotificationsChannels', {});
  assert.ok(channels.entities.some(({ id }) => id === channel.id));
});

test('places a call and reads conversations', async () => {
  const { id } = await read('CreateCallResponse', 'ConversationsApi', 'postConversationsCalls', { phoneNumber: '+13175550123' });
  const conversation = await read('Conversation', 'ConversationsApi', 'getConversation', id);
  assert.equal(conversation.id, id);
  await read('CallConversation', 'ConversationsApi', 'getConversationsCall', id);
  const calls = await read('CallConversationEntityListing', 'ConversationsApi', 'getConversationsCalls');
  assert.ok(calls.entities.some((call) => call.id === id));
  await read('ConversationEntityListing', 'ConversationsApi', 'getConversations', {});
});

test('an error has the shape the client knows', async () => {
  const ask = (args) => window.ask(...args);
  const { error, status } = await page.evaluate(ask, [user.token, 'StationsApi', 'getStation', ['nobody']]);
  assert.equal(status, 404);
  assert.deepEqual(faults(error, 'ErrorBody'), [], JSON.stringify(error));
  const refused = await page.evaluate(ask, ['wrong', 'UsersApi', 'getUsersMe', [{}]]);
  assert.equal(refused.status, 401);
});
