// What a page does beside being read; it all works without this file, by opening the page again.
"use strict";

const MOST_ENTRIES = 600; // of a log, kept in the page: older ones are loaded on demand
const LOCAL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function lasting(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  for (const [unit, below, name, lower] of [[86400, 3600, "d", "h"], [3600, 60, "h", "min"], [60, 1, "min", "s"]]) {
    if (whole < unit) continue;
    const rest = Math.floor((whole % unit) / below);
    return `${Math.floor(whole / unit)} ${name}${rest ? ` ${rest} ${lower}` : ""}`;
  }
  return `${whole} s`;
}

// The server's clock and the reader's may differ: what has passed is counted from what the server said.
function showTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-shown])")) {
    const at = Date.parse(time.dateTime);
    time.dataset.shown = "";
    if ("counts" in time.dataset) {
      time.dataset.since = String(at);
      time.title = LOCAL.format(at);
    } else {
      time.title = time.textContent;
      time.textContent = LOCAL.format(at);
    }
  }
}

function countOn() {
  for (const time of document.querySelectorAll("time[data-since]")) {
    time.textContent = lasting(Math.max(0, Date.now() - Number(time.dataset.since)) / 1000);
  }
}

function parsed(text) {
  return new DOMParser().parseFromString(text, "text/html");
}

async function pageAt(address) {
  const answer = await fetch(address, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  if (!answer.ok || answer.redirected) throw new Error(`answered ${answer.status}`);
  return parsed(await answer.text());
}

// Parts marked data-live are replaced when the server says that something has changed, but never under somebody's hands.
async function refresh() {
  const fresh = await pageAt(location.href);
  for (const part of document.querySelectorAll("[data-live][id]")) {
    const other = fresh.getElementById(part.id);
    if (!other || part.contains(document.activeElement)) continue;
    showTimes(other);
    if (other.innerHTML !== part.innerHTML) part.replaceChildren(...other.childNodes);
  }
}

function followPage(address) {
  let asked = false;
  const source = new EventSource(address);
  source.addEventListener("changed", () => {
    if (asked || document.hidden) return;
    asked = true;
    setTimeout(() => { asked = false; refresh().catch(() => {}); }, 300);
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh().catch(() => {}); });
}

class Log {
  constructor(list) {
    this.list = list;
    this.stay = document.getElementById("stay");
    this.older = document.getElementById("older");
    this.waiting = [];
    if (this.older) this.older.addEventListener("click", (event) => this.loadOlder(event));
    if (list.dataset.steps) this.follow(`${list.dataset.steps}?after=${encodeURIComponent(list.dataset.after)}`);
    this.toEnd();
  }

  follow(address) {
    const source = new EventSource(address);
    source.addEventListener("steps", (event) => {
      this.waiting.push(event.data);
      if (this.waiting.length === 1) requestAnimationFrame(() => this.append());
    });
    source.addEventListener("jump", (event) => {
      this.waiting = [];
      this.list.replaceChildren();
      this.linkOlder(event.data);
    });
    source.addEventListener("state", (event) => {
      const state = document.getElementById("state");
      state.innerHTML = event.data;
      showTimes(state);
    });
    source.addEventListener("end", () => {
      source.close();
      pageAt(location.href).then((fresh) => {
        for (const name of ["h1", ".steer", "#state"]) {
          const [now, then] = [fresh.querySelector(name), document.querySelector(name)];
          if (now && then && !then.contains(document.activeElement)) { showTimes(now); then.replaceWith(now); }
        }
      }).catch(() => {});
    });
  }

  append() {
    document.getElementById("silence")?.remove();
    const items = parsed(this.waiting.splice(0).join("")).body.children;
    this.list.append(...items);
    this.trim();
    this.toEnd();
  }

  // The window: what scrolls out of it at the top can be loaded again.
  trim() {
    const over = this.list.children.length - MOST_ENTRIES;
    if (over <= 0 || (this.stay && !this.stay.checked)) return;
    for (let left = over; left > 0; left--) this.list.firstElementChild.remove();
    this.linkOlder(this.list.firstElementChild.dataset.at);
  }

  linkOlder(at) {
    if (!this.older) {
      this.older = document.createElement("a");
      this.older.id = "older";
      this.older.textContent = "Older";
      this.older.addEventListener("click", (event) => this.loadOlder(event));
      document.querySelector("nav[aria-label=Log]").prepend(this.older);
    }
    this.older.href = `${location.pathname}?before=${encodeURIComponent(at)}#h-log`;
  }

  async loadOlder(event) {
    event.preventDefault();
    if (this.stay) this.stay.checked = false;
    const link = this.older;
    const fresh = await pageAt(link.href);
    const [first, height] = [this.list.firstElementChild, this.list.scrollHeight];
    this.list.prepend(...fresh.getElementById("log").children);
    this.list.scrollTop += this.list.scrollHeight - height;
    const more = fresh.getElementById("older");
    if (more) link.href = more.href;
    else { link.remove(); this.older = null; }
    (first ?? this.list).scrollIntoView({ block: "nearest" });
  }

  toEnd() {
    if (this.stay?.checked) this.list.scrollTop = this.list.scrollHeight;
  }
}

showTimes(document);
setInterval(countOn, 1000);
if (document.body.dataset.follow) followPage(document.body.dataset.follow);
for (const list of document.querySelectorAll("#log")) new Log(list);
