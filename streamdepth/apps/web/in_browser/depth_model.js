// The model, as the page sees it: it runs in a worker.

export class DepthModel {
  constructor() {
    // A worker that comes from a blob has the page's Content-Security-Policy; one with an address of its own has none.
    const address = JSON.stringify(new URL("./depth_worker.js", import.meta.url).href);
    const script = URL.createObjectURL(new Blob([`import ${address};`], { type: "text/javascript" }));
    this.worker = new Worker(script, { type: "module" });
    this.waiting = new Map(); // by the number of the request
    this.count = 0;
    this.worker.onmessage = ({ data: { id, result, error } }) => this.settle(id, result, error);
    this.worker.onerror = () => [...this.waiting.keys()].forEach((id) => this.settle(id, null, "The model cannot be started in this browser."));
  }

  /** Loads the model; resolves to {size, engine, threads}. Throws an Error with a message for the user. */
  load() {
    return this.request("load");
  }

  /** Estimates depth; see depth_worker.js. The picture cannot be used until it comes back. */
  estimate(picture, size) {
    return this.request("estimate", { picture, size }, [picture]);
  }

  request(action, given, transfer = []) {
    const id = this.count++;
    this.worker.postMessage({ id, action, given }, transfer);
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  settle(id, result, error) {
    const { resolve, reject } = this.waiting.get(id);
    this.waiting.delete(id);
    if (error) reject(new Error(error));
    else resolve(result);
  }
}
