// The preferences that this browser remembers: the theme, view and the like. Nothing of it reaches the server.

const KEY = "streamdepth";
const DEFAULTS = { theme: "", view: "overlay", wipe: 0.5, closedPanels: [], facing: "environment" };

/** Returns the browser's storage; null where it is blocked. */
function storage() {
  try {
    return localStorage;
  } catch {
    return null;
  }
}

function load() {
  try {
    return { ...DEFAULTS, ...JSON.parse(storage()?.getItem(KEY)) };
  } catch {
    return { ...DEFAULTS }; // written by something else
  }
}

export const preferences = load();

/** Changes some of the preferences, and keeps them for the next visit where the browser lets it. */
export function remember(changes) {
  Object.assign(preferences, changes);
  try {
    storage()?.setItem(KEY, JSON.stringify(preferences));
  } catch {
    // the storage is full
  }
}
