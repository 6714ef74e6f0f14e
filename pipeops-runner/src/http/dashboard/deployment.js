// The state of one deployment, from its events.

const STEPS = ["clone", "detect", "plan", "build", "manifests", "rollout"];
const WAITING = ["Pending", "ContainerCreating", "PodInitializing", "Running", "Succeeded"];

/** The state of one deployment, made from its events alone. */
class Progress {
  constructor() {
    this.steps = new Map(STEPS.map((step) => [step, { state: "pending" }]));
    this.vertices = new Map();
    this.pods = new Map();
    this.rollout = null;
    this.notes = [];
    this.diagnosis = null;
    this.rollingBack = null;
    this.rolledBack = false;
    this.image = null;
    this.status = "queued";
    this.commit = "";
    this.startedAt = null;
    this.endedAt = null;
  }

  apply(event) {
    const apply = this["on_" + event.type];
    if (apply) apply.call(this, event, Date.parse(event.at));
  }

  on_queued(event, at) {
    this.commit = event.commit;
    this.startedAt = at;
  }

  on_claimed(event) {
    this.status = "running";
    // Steps that another runner didn't finish start again.
    for (const step of this.steps.values()) if (step.state === "running") step.state = "pending";
    if (event.attempt > 1) this.note("A new runner resumed after the last finished step");
  }

  on_stepStarted(event, at) {
    this.steps.set(event.step, { state: "running", since: at });
  }

  on_stepFinished(event) {
    this.steps.set(event.step, { state: "done", millis: event.millis, summary: event.summary });
  }

  on_stepFailed(event) {
    this.steps.set(event.step, { state: "failed", millis: event.millis });
  }

  on_vertex(event) {
    const vertex = this.vertex(event.id);
    Object.assign(vertex, { name: event.name, state: event.state === "started" ? "running" : event.state });
    if (event.millis !== undefined) vertex.millis = event.millis;
  }

  on_log(event) {
    this.vertex(event.vertex).lines.push(event.line);
  }

  on_transfer(event) {
    const vertex = this.vertices.get(event.vertex);
    if (!vertex) return;
    if (event.millis === undefined) vertex.parts.set(event.id, event);
    else vertex.parts.delete(event.id);
  }

  on_rollout(event) {
    this.rollout = event;
  }

  on_pod(event) {
    this.pods.set(event.name, event);
  }

  on_warning(event) {
    this.note(event.message);
  }

  on_rollingBack(event) {
    this.rollingBack = event.to;
    this.diagnosis = event.diagnosis;
    // From here on, the current revision is the restored one.
    for (const pod of this.pods.values()) pod.current = false;
  }

  on_succeeded(event, at) {
    Object.assign(this, { status: "succeeded", image: event.image, endedAt: at });
  }

  on_failed(event, at) {
    Object.assign(this, { status: "failed", diagnosis: event.diagnosis, rolledBack: event.rolledBack, endedAt: at });
    for (const step of this.steps.values()) if (step.state === "running") step.state = "failed";
  }

  on_cancelled(event, at) {
    Object.assign(this, { status: "cancelled", endedAt: at });
    this.note(event.reason);
  }

  note(text) {
    this.notes.push(text);
    if (this.notes.length > 50) this.notes.shift();
  }

  /** A log may name a vertex before the vertex is announced. */
  vertex(id) {
    if (!this.vertices.has(id)) this.vertices.set(id, { id, name: "", state: "running", lines: [], parts: new Map() });
    return this.vertices.get(id);
  }

  /** What a step moves at the moment: "12.3 of 40.0 MB", or in words; nothing once the build has ended. */
  partText(vertex) {
    const parts = this.steps.get("build").state === "running" ? [...vertex.parts.values()] : [];
    const sum = (key) => parts.reduce((sum, part) => sum + part[key], 0);
    const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
    if (sum("total") > 0) return `${megabytes(sum("current"))} of ${megabytes(sum("total"))} MB`;
    if (sum("current") > 0) return `${megabytes(sum("current"))} MB`;
    return parts.length ? parts[0].id : "";
  }

  buildSummary() {
    const all = [...this.vertices.values()];
    const ended = all.filter((vertex) => vertex.state !== "running").length;
    const cached = all.filter((vertex) => vertex.state === "cached").length;
    return all.length ? `${ended} of ${all.length} steps, ${cached} from cache` : "";
  }
}

/** "ready", "waiting", "bad" or "gone". */
function podState(pod) {
  if (pod.gone || pod.status === "Terminating") return "gone";
  if (pod.ready) return "ready";
  return WAITING.includes(pod.status) ? "waiting" : "bad";
}

function podText(pod) {
  if (pod.gone) return "Gone";
  if (pod.ready) return "Ready";
  return pod.status === "Running" ? "Running, not ready" : pod.status;
}
