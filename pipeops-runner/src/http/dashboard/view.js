// The view of one deployment. Each part is redrawn when its data changes; the log only grows.

const MOST_LINES = 5000;

class View {
  constructor(deployment) {
    this.deployment = deployment;
    this.progress = new Progress();
    this.drawn = new Map();
    this.lines = 0;
    this.following = true;
    this.head = el("div", { class: "head" });
    this.diagnosis = el("div");
    this.steps = el("div", { class: "steps" });
    this.rollout = el("div");
    this.notes = el("div");
    this.logCount = el("span");
    this.followButton = el("button", { class: "follow", "aria-pressed": "true", onclick: () => this.follow(!this.following) }, "Follow");
    this.log = el("div", { class: "log", tabindex: "0", role: "log" });
    this.log.addEventListener("scroll", () => this.scrolled());
    this.logCard = el("div", { class: "card", hidden: "" },
      el("h3", {}, "Build log", el("span", {}, this.logCount, " ", this.followButton)), this.log);
    this.root = [this.head, this.diagnosis, el("div", { class: "card" }, this.steps), this.rollout, this.notes, this.logCard];
    this.draw();
  }

  apply(events) {
    for (const event of events) this.progress.apply(event);
    this.draw();
  }

  draw() {
    this.head.replaceChildren(...headParts(this.deployment, this.progress));
    this.diagnosis.replaceChildren(...diagnosisParts(this.progress));
    this.steps.replaceChildren(...STEPS.map((name) => stepPart(name, this.progress.steps.get(name))));
    this.rollout.replaceChildren(...rolloutParts(this.progress));
    this.notes.replaceChildren(...noteParts(this.progress));
    this.drawLog();
  }

  /** Called every second: only what shows a running clock. */
  tick() {
    if (this.progress.status !== "running" && this.progress.status !== "queued") return;
    this.head.replaceChildren(...headParts(this.deployment, this.progress));
    this.steps.replaceChildren(...STEPS.map((name) => stepPart(name, this.progress.steps.get(name))));
  }

  drawLog() {
    this.logCard.hidden = this.progress.vertices.size === 0;
    this.logCount.textContent = this.progress.buildSummary();
    for (const vertex of this.progress.vertices.values()) this.drawVertex(vertex);
    if (this.following) this.log.scrollTop = this.log.scrollHeight;
  }

  drawVertex(vertex) {
    if (!this.drawn.has(vertex.id)) {
      const parts = { first: el("div", { class: "line1" }), lines: el("div", { class: "lines" }), look: "", count: 0 };
      parts.root = el("div", { class: "vertex" }, parts.first, parts.lines);
      this.log.append(parts.root);
      this.drawn.set(vertex.id, parts);
    }
    const parts = this.drawn.get(vertex.id);
    const moving = this.progress.partText(vertex);
    const look = [vertex.name, vertex.state, vertex.millis, moving].join("\n");
    if (parts.look !== look) {
      parts.look = look;
      parts.root.dataset.state = vertex.state;
      const mark = moving || (vertex.state === "cached" ? "CACHED" : duration(vertex.millis));
      parts.first.replaceChildren(icon(vertex.state), el("span", { class: "label" }, vertex.name || "…"), el("span", { class: "mark2" }, mark));
    }
    if (vertex.lines.length) this.drawLines(parts, vertex);
  }

  /** Lines move from the data to the page: they are held once. */
  drawLines(parts, vertex) {
    const fresh = vertex.lines.splice(0);
    parts.lines.append(...fresh.map((line) => el("div", {}, line || " ")));
    this.lines += fresh.length;
    for (const { lines } of this.drawn.values()) {
      while (this.lines > MOST_LINES && lines.firstChild) {
        lines.firstChild.remove();
        this.lines -= 1;
      }
    }
  }

  /** Scrolling up stops the log from running away; scrolling to its end follows it again. */
  scrolled() {
    const rest = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight;
    this.setFollowing(rest < 24);
  }

  follow(on) {
    this.setFollowing(on);
    if (on) this.log.scrollTop = this.log.scrollHeight;
  }

  setFollowing(on) {
    this.following = on;
    this.followButton.setAttribute("aria-pressed", String(on));
  }
}

function headParts(deployment, progress) {
  const status = progress.startedAt ? progress.status : deployment.status;
  const from = progress.startedAt || Date.parse(deployment.created);
  const to = progress.endedAt || (deployment.finished ? Date.parse(deployment.finished) : Date.now());
  const facts = [
    el("span", {}, el("code", {}, deployment.commit.slice(0, 7))),
    el("span", {}, deployment.reference.replace(/^refs\/(heads|tags)\//, "")),
    deployment.pusher ? el("span", {}, deployment.pusher) : null,
    el("span", {}, new Date(deployment.created).toLocaleString()),
    el("span", {}, duration(to - from)),
  ];
  return [
    el("div", {},
      el("h2", {}, deployment.project, el("span", { class: "tag" }, deployment.environment)),
      deployment.message ? el("p", { class: "message" }, deployment.message) : null,
      el("div", { class: "facts" }, ...facts),
      progress.image ? el("div", { class: "facts" }, el("code", { class: "image" }, progress.image)) : null),
    el("span", { class: "badge", "data-state": status }, label(status, progress)),
  ];
}

function label(status, progress) {
  if (status === "running" && progress.rollingBack) return "Rolling back";
  if (status === "failed" && progress.rollingBack && progress.rolledBack) return "Rolled back";
  return status.charAt(0).toUpperCase() + status.slice(1);
}

function stepPart(name, step) {
  const millis = step.state === "running" ? Date.now() - step.since : step.millis;
  return el("div", { class: "step", "data-state": step.state },
    el("div", { class: "title" }, icon(step.state), name, el("span", { class: "time" }, duration(millis))),
    step.summary ? el("div", { class: "summary", title: step.summary }, step.summary) : null);
}

function diagnosisParts(progress) {
  const diagnosis = progress.diagnosis;
  if (!diagnosis) return [];
  const entries = [["Error", diagnosis.error], ["Reason", diagnosis.reason]].filter(([, text]) => text);
  const fixes = diagnosis.fixes || [];
  const log = diagnosis.log || [];
  return [el("div", { class: "card diagnosis", role: "alert" },
    el("div", { class: "title" }, icon("failed"), diagnosis.title),
    el("div", { class: "body" },
      entries.length ? el("dl", {}, ...entries.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)])) : null,
      log.length ? el("div", {}, el("h4", {}, "Last output"), el("pre", {}, log.join("\n"))) : null,
      fixes.length ? el("div", {}, el("h4", {}, "Fix"), el("ol", {}, ...fixes.map((fix) => el("li", {}, fix)))) : null,
      diagnosis.run ? commandPart(diagnosis.run) : null,
      el("p", { class: "standing" }, standing(progress))))];
}

function standing(progress) {
  if (progress.status === "running") return progress.rollingBack ? `Rolling back to ${shortened(progress.rollingBack)} …` : "";
  return progress.rolledBack ? "The previous revision is serving." : "No earlier revision is serving.";
}

function commandPart(command) {
  const button = el("button", {
    onclick: async () => {
      await navigator.clipboard.writeText(command);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    },
  }, "Copy");
  return el("div", {}, el("h4", {}, "Run"), el("div", { class: "command" }, el("span", {}, command), button));
}

function rolloutParts(progress) {
  const rollout = progress.rollout;
  if (!rollout && progress.pods.size === 0) return [];
  const share = rollout && rollout.desired ? rollout.ready / rollout.desired : 0;
  const ended = progress.rolledBack || progress.status === "succeeded" ? "done" : "failed";
  const state = progress.endedAt ? ended : "running";
  const bar = el("div", { class: "bar", "data-state": state }, el("i", {}));
  bar.firstChild.style.width = Math.round(share * 100) + "%";
  return [el("div", { class: "card" },
    el("h3", {}, rollout ? shortened(rollout.message) : "Rollout", el("span", {}, rollout ? `${rollout.ready} of ${rollout.desired} ready` : "")),
    el("div", { class: "rollout" }, bar, el("div", { class: "revisions" }, ...revisionParts(progress))))];
}

function revisionName(current, progress) {
  if (progress.rollingBack) return current ? "Restored revision " : "Failed revision ";
  return current ? "New revision " : "Previous revision ";
}

/** Pods by revision: the new one first. Pods that go or are gone stay in sight until the deployment ends. */
function revisionParts(progress) {
  const groups = new Map();
  for (const pod of progress.pods.values()) {
    if (podState(pod) === "gone" && progress.endedAt) continue;
    if (!groups.has(pod.revision)) groups.set(pod.revision, []);
    groups.get(pod.revision).push(pod);
  }
  const sorted = [...groups.entries()].sort(([, a], [, b]) => Number(b[0].current) - Number(a[0].current));
  return sorted.map(([revision, pods]) => el("div", { class: "revision" },
    el("h4", {}, revisionName(pods[0].current, progress), el("code", {}, revision)),
    el("div", { class: "pods" }, ...pods.map(podPart))));
}

function podPart(pod) {
  return el("div", { class: "pod", "data-state": podState(pod) },
    el("span", { class: "dot" }), el("code", { title: pod.name }, pod.name), el("span", { class: "status" }, podText(pod)));
}

function noteParts(progress) {
  if (!progress.notes.length) return [];
  return [el("div", { class: "card" }, el("h3", {}, "Notes"),
    el("ul", { class: "notes" }, ...progress.notes.map((text) => el("li", {}, icon("warning"), el("span", {}, text)))))];
}
