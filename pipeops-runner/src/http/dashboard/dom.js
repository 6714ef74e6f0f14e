// Creates elements. All text goes through textContent, because logs are untrusted.

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  pending: "M8 3.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6",
  queued: "M8 3.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6M8 5.6V8l1.7 1.2",
  running: "M8 2.8A5.2 5.2 0 1 1 2.8 8",
  done: "M3.6 8.4l2.9 2.9 5.9-6.4",
  failed: "M4.4 4.4l7.2 7.2M11.6 4.4l-7.2 7.2",
  cached: "M3.6 8.4l2.9 2.9 5.9-6.4",
  cancelled: "M4 8h8",
  warning: "M8 3.6v5.4M8 11.9v.3",
};

/** An element with a class, attributes and children (elements or texts). */
function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function icon(state) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("data-state", state);
  svg.setAttribute("aria-label", state);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[state] || ICONS.pending);
  for (const [name, value] of [["fill", "none"], ["stroke", "currentColor"], ["stroke-width", "2"],
    ["stroke-linecap", "round"], ["stroke-linejoin", "round"]]) path.setAttribute(name, value);
  svg.append(path);
  return svg;
}

/** 850 as "850 ms", 12345 as "12.3 s", 200000 as "3 min 20 s". */
function duration(millis) {
  if (!Number.isFinite(millis)) return "";
  if (millis < 1000) return Math.max(0, Math.round(millis)) + " ms";
  if (millis < 60000) return (millis / 1000).toFixed(1) + " s";
  const minutes = Math.floor(millis / 60000);
  return minutes + " min " + Math.floor((millis % 60000) / 1000) + " s";
}

/** How long ago, in one unit. */
function ago(time) {
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000);
  if (seconds < 45) return "now";
  if (seconds < 3600) return Math.round(seconds / 60) + " min";
  if (seconds < 86400) return Math.round(seconds / 3600) + " h";
  return Math.round(seconds / 86400) + " d";
}

/** Commits by their first seven digits. */
function shortened(text) {
  return text.replace(/\b([0-9a-f]{7})[0-9a-f]{33}\b/g, "$1");
}
