// Shows times in the browser's zone, with UTC on hover. Without this script they are in UTC.
// It also moves the time beside a slider, and keeps the focus where a part of a page comes again.
"use strict";

const zoned = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });

function localTimes(root) {
  for (const time of root.querySelectorAll("time.moment[datetime]:not([data-local])")) {
    const moment = new Date(time.getAttribute("datetime"));
    if (!Number.isNaN(moment.getTime())) {
      time.textContent = zoned.format(moment);
      time.dataset.local = "";
    }
  }
}

// Times in pictures: marks of an axis are drawn again, and descriptions say both times.
const SECOND = 1000; // milliseconds
const STEPS = [1, 5, 15, 60, 300, 900, 3600, 10800, 21600, 43200, 86400, 172800, 432000, 864000, 2592000, 7776000, 31536000, 157680000];
const MARKS = 6; // at most on an axis
const UTC = /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/g;

function part(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

function localAxis(axis) {
  const [low, high, begin, end, y, top] = axis.dataset.axis.split(" ").map(Number);
  const ahead = (time) => -60 * SECOND * new Date(time).getTimezoneOffset();
  const step = SECOND * (STEPS.find((one) => (high - low) / one / SECOND <= MARKS) ?? STEPS.at(-1));
  axis.replaceChildren();
  for (let local = Math.ceil((low + ahead(low)) / step) * step; high > low; local += step) {
    const time = local - ahead(local - ahead(local));
    if (time > high) break;
    const x = (begin + (time - low) / (high - low) * (end - begin)).toFixed(1);
    const said = new Date(local).toISOString();
    const day = step >= 86400 * SECOND || local % (86400 * SECOND) === 0;
    const words = step >= 31536000 * SECOND ? said.slice(0, 10) : day ? said.slice(5, 10) : said.slice(11, step < 60 * SECOND ? 19 : 16);
    axis.append(part("line", { x1: x, x2: x, y1: top, y2: y, class: "grid" }));
    axis.append(part("text", { x, y: y + 14, class: "mark", "text-anchor": "middle" }, words));
  }
  axis.dataset.local = "";
}

function bothTimes(text) {
  return text.replace(UTC, (utc) => `${zoned.format(new Date(`${utc.slice(0, 19).replace(" ", "T")}Z`))} (${utc})`);
}

function localPictures(root) {
  for (const axis of root.querySelectorAll("[data-axis]:not([data-local])")) {
    localAxis(axis);
    for (const said of axis.closest("svg").querySelectorAll("title, desc")) said.textContent = bothTimes(said.textContent);
    for (const one of [axis.closest("svg"), ...axis.closest("svg").querySelectorAll("[aria-label]")]) {
      one.setAttribute("aria-label", bothTimes(one.getAttribute("aria-label")));
    }
  }
}

// The time beside a slider follows it; the page below comes when it rests.
function followSlider() {
  const slider = document.querySelector("[data-moments]");
  slider?.addEventListener("input", () => {
    const said = new Date(slider.value * SECOND).toISOString();
    const shown = slider.closest("label").querySelector("time");
    shown.dateTime = said;
    shown.title = `${said.slice(0, 19).replace("T", " ")} UTC`;
    shown.textContent = zoned.format(new Date(said));
    slider.setAttribute("aria-valuetext", shown.textContent);
  });
}

// A part of a page that comes again keeps the focus: on the same link or button, or on what stands in its place.
const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";
let focus = null; // as it was before the swap

function nameOf(one) {
  return one?.id || one?.getAttribute("href") || one?.textContent;
}

function keepFocus(part) {
  const one = document.activeElement;
  const at = [...part.querySelectorAll(FOCUSABLE)].indexOf(one);
  focus = at < 0 ? null : { part: part.id, at, name: nameOf(one) };
}

function giveFocusBack() {
  if (focus && document.activeElement === document.body) {
    const all = [...(document.getElementById(focus.part)?.querySelectorAll(FOCUSABLE) ?? [])];
    const same = [all[focus.at], ...all].find((one) => nameOf(one) === focus.name);
    (same ?? all[focus.at])?.focus({ preventScroll: true });
  }
  focus = null;
}

function localZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const place of document.querySelectorAll("[data-zone]")) {
    place.parentElement.firstChild.textContent = "Times are in the zone of your browser, ";
    place.textContent = `${zone}, with UTC on hover`;
  }
}

document.addEventListener("DOMContentLoaded", () => {
  localTimes(document);
  localPictures(document);
  localZone();
  followSlider();
  document.body.addEventListener("htmx:beforeSwap", ({ detail }) => keepFocus(detail.target));
  document.body.addEventListener("htmx:afterSettle", () => {
    giveFocusBack();
    localTimes(document);
    localPictures(document);
    for (const list of document.querySelectorAll("[data-most]")) {
      while (list.children.length > Number(list.dataset.most)) list.lastElementChild.remove();
    }
  });
});
