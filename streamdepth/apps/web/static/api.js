// The JSON API, as functions. Each throws an Error with a message for the user.

async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body ? JSON.stringify(body) : undefined,
  }).catch(() => {
    throw new Error("The server does not answer.");
  });
  const answer = response.status === 204 ? {} : await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(typeof answer.detail === "string" ? answer.detail : `The server refused it (${response.status}).`);
  return answer;
}

const filePath = (name) => `api/files/${encodeURIComponent(name)}`;

export const status = () => call("GET", "api/status");
export const setControls = (name, changes) => call("PATCH", `api/streams/${name}/controls`, changes);
export const setModel = (size) => call("PATCH", "api/model", { size });
const zonePath = (name, zone) => `api/streams/${name}/zones/${encodeURIComponent(zone)}`;
export const putZone = (name, zone, wanted) => call("PUT", zonePath(name, zone), wanted);
export const deleteZone = (name, zone) => call("DELETE", zonePath(name, zone));
export const snapshot = (name) => call("POST", `api/streams/${name}/snapshots`);
export const record = (name) => call("PUT", `api/streams/${name}/recording`);
export const stopRecording = (name) => call("DELETE", `api/streams/${name}/recording`);
export const files = () => call("GET", "api/files");
export const deleteFile = (name) => call("DELETE", filePath(name));
export const conversions = () => call("GET", "api/conversions");
export const cancelConversion = (id) => call("DELETE", `api/conversions/${encodeURIComponent(id)}`);

/** Uploads a video by a given XMLHttpRequest, which may be watched and aborted. */
export const convert = (request, file, stream) => new Promise((done, failed) => {
  const fail = (words) => () => failed(new Error(words));
  request.open("POST", `api/conversions?${new URLSearchParams({ name: file.name, stream })}`);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.responseType = "json";
  request.onload = () => (request.status === 201 ? done() : fail(request.response?.detail ?? `The server refused ${file.name} (${request.status}).`)());
  request.onerror = fail(`The upload of ${file.name} was broken off.`);
  request.onabort = fail(`The upload of ${file.name} was canceled.`);
  request.send(file);
});

export const colors = async (name) => (await call("GET", `api/colormaps/${encodeURIComponent(name)}`)).colors;
export const isSignedIn = async () => (await call("GET", "api/session")).signed_in;
export const signOut = () => call("DELETE", "api/session");
