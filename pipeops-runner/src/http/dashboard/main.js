// The page: the list of deployments, which one is shown, and the two streams behind them.

const MOST_LISTED = 50;
const LIST_STATES = { queued: "queued", running: "running", succeeded: "done", failed: "failed", cancelled: "cancelled" };

const deployments = new Map();
let shown = null;
let view = null;
let stream = null;

function setLink(state) {
  const link = document.getElementById("link");
  link.dataset.state = state;
  link.textContent = state === "live" ? "Live" : "Reconnecting";
}

function newestFirst() {
  return [...deployments.values()].sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, MOST_LISTED);
}

function drawList() {
  const rows = newestFirst().map((deployment) => el("button", {
    class: "row",
    "aria-current": String(deployment.id === shown),
    onclick: () => { location.hash = deployment.id; },
  },
  icon(LIST_STATES[deployment.status] || "pending"),
  el("span", { class: "name" }, deployment.project, el("span", { class: "tag" }, deployment.environment)),
  el("span", { class: "when" }, ago(deployment.created)),
  el("span", { class: "what" }, el("code", {}, deployment.commit.slice(0, 7)), deployment.message || deployment.reference)));
  document.getElementById("list").replaceChildren(...(rows.length ? rows : [el("p", { class: "none" }, "No deployments")]));
}

function drawEmpty() {
  const address = location.origin + BASE + "webhooks/PROJECT";
  document.getElementById("detail").replaceChildren(el("div", { class: "empty" },
    el("span", { class: "mark" }),
    el("h2", {}, "No deployments yet"),
    el("p", {}, "Push a commit to the branch of a project. Its webhook in the forge needs this URL:"),
    el("code", {}, address)));
}

/** Shows the deployment that the address names, or the newest one. */
function show() {
  const wanted = location.hash.slice(1);
  const newest = newestFirst()[0];
  const id = deployments.has(wanted) ? wanted : newest && newest.id;
  if (!id) return drawEmpty();
  if (id === shown) return;
  if (stream) stream.close();
  shown = id;
  view = new View(deployments.get(id));
  document.getElementById("detail").replaceChildren(...view.root);
  const current = view;
  stream = new Stream({ deployment: id }, 0, (events) => current.apply(events), () => {});
  drawList();
}

async function refresh(id) {
  const deployment = await get("deployments/" + encodeURIComponent(id));
  deployments.set(id, deployment);
  if (view && shown === id) {
    view.deployment = deployment;
    view.draw();
  }
}

/** The list changes when deployments come, begin and end. */
async function overview(events) {
  const ids = new Set();
  for (const event of events) {
    if (["queued", "claimed", "succeeded", "failed", "cancelled"].includes(event.type)) ids.add(event.deployment);
  }
  await Promise.all([...ids].map(refresh)).catch(() => setLink("lost"));
  if (!ids.size) return;
  drawList();
  // A deployment in the URL stays selected. Otherwise the newest one is shown.
  if (!deployments.has(location.hash.slice(1))) show();
}

async function start() {
  const { deployments: all, lastEvent } = await get("deployments?limit=" + MOST_LISTED);
  for (const deployment of all) deployments.set(deployment.id, deployment);
  drawList();
  show();
  new Stream({ logs: "false" }, lastEvent, overview, setLink);
  addEventListener("hashchange", () => { show(); drawList(); });
  setInterval(() => view && view.tick(), 1000);
  setInterval(drawList, 30000);
}

function startUntilItWorks() {
  start().catch(() => {
    setLink("lost");
    setTimeout(startUntilItWorks, 2000);
  });
}

startUntilItWorks();
