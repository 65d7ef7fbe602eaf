// Shows times in the browser's zone, with UTC on hover. Without this script they are in UTC.
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

function localZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const place of document.querySelectorAll("[data-zone]")) {
    place.parentElement.firstChild.textContent = "Times are in the zone of your browser, ";
    place.textContent = `${zone}, with UTC on hover`;
  }
}

document.addEventListener("DOMContentLoaded", () => {
  localTimes(document);
  localZone();
  document.body.addEventListener("htmx:afterSettle", () => {
    localTimes(document);
    for (const list of document.querySelectorAll("[data-most]")) {
      while (list.children.length > Number(list.dataset.most)) list.lastElementChild.remove();
    }
  });
});
