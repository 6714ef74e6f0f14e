// Requests with the token, and streams that reconnect.

// The page may be served under a path.
const BASE = location.pathname.replace(/\/?$/, "/");
const PROTOCOL = "pipeops.events";

let token = sessionStorage.getItem("pipeops.token");

function askToken() {
  const dialog = document.getElementById("login");
  const input = document.getElementById("token");
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      token = input.value;
      sessionStorage.setItem("pipeops.token", token);
      resolve();
    }, { once: true });
  });
}

/** The JSON behind a path of the API. Asks for the token when the server does. */
async function get(path) {
  const headers = token ? { Authorization: "Bearer " + token } : {};
  const answer = await fetch(BASE + "api/" + path, { headers });
  if (answer.status === 401) {
    await askToken();
    return get(path);
  }
  if (!answer.ok) throw new Error(answer.status + " " + answer.statusText);
  return answer.json();
}

function encoded(text) {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/**
 * A stream of events that survives lost connections: it asks again for what comes after the last event it saw.
 * `onState` receives "live" and "lost"; `close` ends it.
 */
class Stream {
  constructor(query, after, onEvents, onState) {
    Object.assign(this, { query, after, onEvents, onState, wait: 500, waiting: [], closed: false });
    this.open();
  }

  open() {
    const url = new URL(BASE + "api/events", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.search = new URLSearchParams({ ...this.query, after: this.after }).toString();
    const protocols = token ? [PROTOCOL, "bearer." + encoded(token)] : [PROTOCOL];
    this.socket = new WebSocket(url, protocols);
    this.socket.onopen = () => {
      this.wait = 500;
      this.onState("live");
    };
    this.socket.onmessage = (message) => this.take(JSON.parse(message.data));
    this.socket.onclose = () => this.retry();
  }

  /** Events are handed on together, a few times a second: a log may bring thousands. */
  take(event) {
    this.after = event.seq;
    this.waiting.push(event);
    if (this.waiting.length > 1) return;
    setTimeout(() => {
      const events = this.waiting;
      this.waiting = [];
      if (!this.closed) this.onEvents(events);
    }, 50);
  }

  retry() {
    if (this.closed) return;
    this.onState("lost");
    setTimeout(() => this.closed || this.open(), this.wait);
    this.wait = Math.min(this.wait * 2, 10000);
  }

  close() {
    this.closed = true;
    this.socket.close();
  }
}
