// The event stream: read with fetch (an EventSource sends no token), resumed by id, watched for silence.

import { token } from "./session.js";

const SILENCE_MS = 8000;
const AGAIN_MS = [500, 1000, 2000, 4000];

export class Stream {
  /** @param {(kind: string, data: any) => void} onEvent @param {(state: string, since: number) => void} onState */
  constructor(onEvent, onState) {
    this.onEvent = onEvent;
    this.onState = onState;
    this.lastId = "";
    this.fails = 0;
    this.state = "connecting";
    this.since = Date.now();
    this.stopped = true;
  }

  start() {
    if (!this.stopped) return;
    this.stopped = false;
    this.run();
  }

  stop() {
    this.stopped = true;
    this.abort?.abort();
    this.lastId = "";
  }

  async run() {
    while (!this.stopped) {
      try {
        await this.read();
      } catch (error) {
        if (error.status === 401) return this.tell("signed-out");
        if (error.status === 422) this.lastId = "";
      }
      if (this.stopped) return undefined;
      this.tell("lost");
      const wait = AGAIN_MS[Math.min(this.fails, AGAIN_MS.length - 1)];
      this.fails += 1;
      await new Promise((done) => setTimeout(done, wait));
    }
    return undefined;
  }

  async read() {
    this.abort = new AbortController();
    let heard = Date.now();
    const watch = setInterval(() => Date.now() - heard > SILENCE_MS && this.abort.abort(), 1000);
    try {
      const headers = { Authorization: `Bearer ${token() || ""}`, Accept: "text/event-stream" };
      if (this.lastId) headers["Last-Event-ID"] = this.lastId;
      const answer = await fetch("/v1/events?replay=300", { headers, signal: this.abort.signal, cache: "no-store" });
      if (!answer.ok) throw Object.assign(new Error("refused"), { status: answer.status });
      this.fails = 0;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        heard = Date.now();
        this.tell("live");
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) this.take(block);
      }
    } finally {
      clearInterval(watch);
    }
  }

  take(block) {
    let kind = "message";
    let data = "";
    for (const line of block.split("\n")) {
      if (line.startsWith("id: ")) this.lastId = line.slice(4);
      else if (line.startsWith("event: ")) kind = line.slice(7);
      else if (line.startsWith("data: ")) data += line.slice(6);
    }
    if (data) this.onEvent(kind, JSON.parse(data));
  }

  tell(state) {
    if (state === this.state) return;
    this.state = state;
    this.since = Date.now();
    this.onState(state, this.since);
  }
}
