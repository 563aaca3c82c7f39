/** migctl-client: the subscriber of `migctl serve` for pages and for Node. docs/browser.md says how to use it. */
export { Subscriber } from './client/subscriber.js';
export { Discontinuity, Release } from './client/core/items.js';
export { MigctlError } from './client/waiting.js';
