// Waiting for what must become true: never a sleep of a guessed length.

/** How long anything may take on a busy machine, ms. */
export const PATIENCE = 30_000;

/**
 * Asks again until the answer is truthy, and returns it. What is asked for is a state that nobody
 * announces (a level, a counter); whatever is announced is awaited as an event instead.
 */
export async function until(what, ask, patience = PATIENCE) {
  const deadline = Date.now() + patience;
  let last;
  while (Date.now() < deadline) {
    last = await ask();
    if (last) return last;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not within ${patience} ms: ${what}`);
}

/** A promise with a deadline. */
export function within(what, promise, patience = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${patience} ms: ${what}`)), patience);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
