// Small helpers for the document.

export const $ = (id) => document.getElementById(id);

/** An element with text, or with properties and children. */
export function make(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), typeof properties === "string" ? { textContent: properties } : properties);
  made.append(...children);
  return made;
}

let timer = 0;
/** Says something for a while. */
export function toast(text) {
  clearTimeout(timer);
  $("toast").textContent = text;
  $("toast").hidden = false;
  timer = setTimeout(() => ($("toast").hidden = true), 6000);
}

/** A handler that does `action`, and says why when it could not be done. */
export const doing = (action) => async (event) => {
  try {
    await action(event);
  } catch (error) {
    toast(error.message);
  }
};
