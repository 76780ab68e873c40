// What frames the picture: the theme, panels that stay closed, the full screen, and keys.

import { $, reportingErrors, toast } from "./dom.js";
import { preferences, remember } from "./preferences.js";

const THEMES = { "": "As the system is", light: "Light", dark: "Dark" };

/** buttons: from a key to the id of its button; pickView(number): chooses a view, which the keys from 1 on do. */
export function startFrame(buttons, pickView) {
  setTheme(preferences.theme);
  $("theme").onclick = () => {
    const names = Object.keys(THEMES);
    setTheme(names[(names.indexOf(preferences.theme) + 1) % names.length]);
    toast(THEMES[preferences.theme]);
  };
  $("fullscreen").hidden = !document.fullscreenEnabled; // iPhones show nothing but videos on the full screen
  $("fullscreen").onclick = reportingErrors(() => (document.fullscreenElement ? document.exitFullscreen() : $("screen").requestFullscreen()));
  for (const panel of document.querySelectorAll("details.panel")) {
    panel.open = !preferences.closedPanels.includes(panel.id);
    panel.ontoggle = () => remember({ closedPanels: [...document.querySelectorAll("details.panel:not([open])")].map(({ id }) => id) });
  }
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("select, input:not([type=radio])") || document.querySelector("dialog[open]");
    if (isTyping || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const button = buttons[event.key.toLowerCase()];
    if (button) $(button).hidden || $(button).click();
    else pickView(Number(event.key) - 1);
  });
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  remember({ theme });
}
