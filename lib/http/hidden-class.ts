import { ServerResponse } from 'node:http';
import type { IncomingMessage } from 'node:http';

const NODE_VERSION = Number.parseInt(process.versions.node, 10);
/**
 * Express gives each request and response another prototype, and adds members then. Up to Node 22, V8 makes a hidden
 * class of its own for each object that is treated so, and no inline cache knows it: each member that Node or the guard
 * reads first takes 0.5 µs, each that `writeHead` adds 4. Node 24 shares the classes.
 */
const IS_NEEDED = NODE_VERSION < 24;

/**
 * Has V8 keep their members in hash tables, which objects of one prototype have one hidden class for: it does so when a
 * member goes that is not the newest. With it a call takes 0.8 of the CPU. Their members and values stay as they are.
 */
export function shareHiddenClass(req: IncomingMessage, res: ServerResponse): void {
  if (!IS_NEEDED || Object.getPrototypeOf(res) === ServerResponse.prototype) return;
  putBack(req, 'rawTrailers');
  putBack(res, 'sendDate');
}

/** Those of HTTP/2, and what the application has made its own or closed, stay as they are. */
function putBack<T extends object>(object: T, name: keyof T): void {
  const member = Object.getOwnPropertyDescriptor(object, name);
  if (member?.writable !== true || !Object.isExtensible(object) || !Reflect.deleteProperty(object, name)) return;
  object[name] = member.value as T[keyof T];
}
