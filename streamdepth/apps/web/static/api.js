// The JSON API, as functions.

async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body ? JSON.stringify(body) : undefined,
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(typeof answer.detail === "string" ? answer.detail : "that is not allowed");
  return answer;
}

export const status = () => call("GET", "/api/status");
export const setControls = (name, changes) => call("PATCH", `/api/streams/${name}/controls`, changes);
export const setModel = (size) => call("PATCH", "/api/model", { size });
export const snapshot = (name) => call("POST", `/api/streams/${name}/snapshots`);
export const record = (name) => call("PUT", `/api/streams/${name}/recording`);
export const stopRecording = (name) => call("DELETE", `/api/streams/${name}/recording`);
export const files = async () => (await call("GET", "/api/files")).files;
export const colors = async (name) => (await call("GET", `/api/colormaps/${encodeURIComponent(name)}`)).colors;
