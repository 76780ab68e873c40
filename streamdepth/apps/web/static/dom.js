// Small helpers for the DOM.

export const $ = (id) => document.getElementById(id);

/** Makes an element with text, or with properties and children. */
export function make(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), typeof properties === "string" ? { textContent: properties } : properties);
  made.append(...children);
  return made;
}

/** Makes an element of SVG with attributes. */
export function shape(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** Makes the picture of an icon button from the path of its lines, on a square of 20. */
export function icon(path) {
  const svg = shape("svg", { viewBox: "0 0 20 20", "aria-hidden": "true" });
  svg.append(shape("path", { d: path }));
  return svg;
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

/** Asks a question; resolves to true if the user agrees. `answer`: the word on the button that does. */
export function confirmed(question, answer) {
  const dialog = $("confirm");
  $("confirm-text").textContent = question;
  $("confirm-yes").textContent = answer;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((decide) => dialog.addEventListener("close", () => decide(dialog.returnValue === "yes"), { once: true }));
}
