// The first-start page looks at what is typed while it is typed; without this file its button does the same.
"use strict";

const PAUSE_MS = 500; // after a letter, before anything is asked
const AGAIN_MS = 2000; // after an answer that did not come
const WHOLE_TOKEN = 40; // letters; Gitea need not be asked about half of one

const form = document.querySelector("form[data-look]");

function item(finding) {
  const line = document.createElement("li");
  line.className = { well: "well", wrong: "trouble stops" }[finding.level] ?? "trouble warns";
  const what = document.createElement("strong");
  what.textContent = `${finding.check}: ${finding.what}`;
  line.append(what);
  if (finding.why) line.append(` ${finding.why}.`);
  if (finding.cure) {
    const cure = document.createElement("span");
    cure.textContent = ` Cure: ${finding.cure}`;
    line.append(cure);
  }
  return line;
}

class Looking {
  constructor(form) {
    this.form = form;
    this.url = form.elements.url;
    this.token = form.elements.token;
    this.shown = document.getElementById("looked");
    this.asked = null;
    this.timer = 0;
    // While the address is being typed it may be anybody's: the token goes along once it stands.
    this.url?.addEventListener("input", () => this.soon(false));
    this.url?.addEventListener("change", () => this.soon(true));
    this.token?.addEventListener("input", () => { if (this.token.value.trim().length >= WHOLE_TOKEN) this.soon(true); });
    this.token?.addEventListener("change", () => this.soon(true));
    if (this.url?.value || this.token?.value) this.soon(true); // typed before this was here, or kept by the browser
  }

  soon(withToken, pause = PAUSE_MS) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(withToken).catch((error) => {
      if (error.name !== "AbortError") this.soon(withToken, AGAIN_MS);
    }), pause);
  }

  async look(withToken) {
    this.asked?.abort();
    this.asked = new AbortController();
    if (this.url && !this.url.value.trim()) return;
    const typed = { url: this.url?.value ?? "", token: withToken ? this.token?.value ?? "" : "" };
    const answer = await fetch(this.form.dataset.look, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": this.form.elements.csrf.value },
      body: JSON.stringify(typed),
      credentials: "same-origin",
      signal: this.asked.signal,
    });
    if (answer.ok) this.show(await answer.json());
    else if (answer.status >= 500) throw new Error(`answered ${answer.status}`);
  }

  show(seen) {
    const list = document.createElement("ul");
    list.className = "troubles findings";
    list.append(...seen.findings.map(item));
    this.shown.replaceChildren(list);
    const link = document.getElementById("tokens");
    const isGitea = seen.url && !seen.findings.some((finding) => finding.check === "gitea" && finding.level === "wrong");
    if (link && isGitea) link.href = `${seen.url}/user/settings/applications`;
    for (const [id, there] of [["tokens", isGitea], ["no-tokens", !isGitea]]) {
      const part = document.getElementById(id);
      if (part) part.hidden = !there;
    }
  }
}

// The model takes its time to answer: look whether it has, and leave what is being typed and chosen as it is.
async function modelAnswered() {
  const part = document.getElementById("model");
  if (!part?.querySelector(".said")) return;
  const answer = await fetch(location.pathname, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("model");
  if (fresh && !fresh.querySelector(".said")) part.replaceChildren(...fresh.childNodes);
  else setTimeout(() => modelAnswered().catch(() => {}), 1000);
}

if (form) new Looking(form);
modelAnswered().catch(() => {});
