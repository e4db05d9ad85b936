import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';

/** Finds dead peers: a socket that has been silent from one beat to the next is cut off. */
export class Heartbeat {
  /** The connections under the sockets. */
  private readonly connections = new Map<WebSocket, Duplex>();
  /** Sockets silent since their last ping, with the bytes they had taken by then if others were still waiting. */
  private readonly silent = new Map<WebSocket, number>();

  watch(socket: WebSocket, connection: Duplex): void {
    this.connections.set(socket, connection);
    socket.on('pong', () => {
      this.heard(socket);
    });
  }

  heard(socket: WebSocket): void {
    this.silent.delete(socket);
  }

  beat(): void {
    for (const [socket, connection] of this.connections) {
      if (socket.readyState !== WebSocket.OPEN) continue;
      const taken = bytesTaken(connection);
      // A pong has to wait behind what is still to be taken: then that some of it has been is sign enough. And of a
      // socket that is not read from nothing can be heard.
      if (taken <= (this.silent.get(socket) ?? -1) && !socket.isPaused) {
        socket.terminate();
        continue;
      }
      this.silent.set(socket, socket.bufferedAmount > 0 ? taken : Infinity);
      socket.ping();
    }
  }
}

function bytesTaken(connection: Duplex): number {
  return connection instanceof Socket ? connection.bytesWritten - connection.writableLength : 0;
}
