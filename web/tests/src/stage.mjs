// What the suite is shown: where certmill is, who may come in, and what stands there already.
// The Rust side (`tests/tests/browser.rs`) writes it as JSON into STAGE.

const text = process.env.STAGE;
if (!text) {
  throw new Error('STAGE is not set: run the suite by `cargo test -p certmill-tests --test browser`');
}

/**
 * @type {{
 *   url: string, loginLinks: string[], platformToken: string, tenantToken: string,
 *   template: string, active: string, failing: string, setupLinks: { active: string, failing: string }, fresh: string[], pictures: string,
 * }}
 */
export const stage = JSON.parse(text);

/** A link that opens a session once. */
export function loginLink() {
  const link = stage.loginLinks.shift();
  if (!link) throw new Error('the stage has no login link left; give it more');
  return link;
}

/** A name that nobody has registered yet, of those whose DNS is right. */
export function freshName() {
  const name = stage.fresh.shift();
  if (!name) throw new Error('the stage has no fresh name left; give it more');
  return name;
}
