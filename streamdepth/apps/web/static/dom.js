// Small helpers for the DOM.

export const $ = (id) => document.getElementById(id);

/** Makes an element with text, or with properties and children. */
export function make(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), typeof properties === "string" ? { textContent: properties } : properties);
  made.append(...children);
  return made;
}

let timer = 0;
/** Shows a message for a few seconds. */
export function toast(text) {
  clearTimeout(timer);
  $("toast").textContent = text;
  $("toast").hidden = false;
  timer = setTimeout(() => ($("toast").hidden = true), 6000);
}

/** Returns an event handler that runs `action`, and shows the error if it fails. */
export const reportingErrors = (action) => async (event) => {
  try {
    await action(event);
  } catch (error) {
    toast(error.message);
  }
};
