"use strict";
// Three conveniences; all else on these pages works without them: search while typing, a transcript that leads the
// player, and a player that asks for a new link when its old one has ended.

const form = document.getElementById("search");
if (form) searchWhileTyping(form);

const player = document.getElementById("player");
const lines = document.getElementById("lines");
if (player && lines) leadPlayer(player, lines);
for (const media of document.querySelectorAll(".player")) renewLink(media);
for (const command of document.querySelectorAll(".command")) offerCopy(command);

function searchWhileTyping(form) {
  let pending = null, waiting = 0;
  const search = async () => {
    pending?.abort();
    pending = new AbortController();
    const filled = [...new FormData(form)].filter(([, value]) => value);
    const address = "/" + (filled.length ? "?" + new URLSearchParams(filled) : "");
    try {
      const answer = await fetch(address, { signal: pending.signal });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!page.getElementById("results")) return form.submit();  // a page that says what is wrong
      for (const id of ["count", "problems", "results"]) {
        document.getElementById(id).replaceChildren(...page.getElementById(id).childNodes);
      }
      document.title = page.title;
      history.replaceState(null, "", address);
    } catch (error) {
      if (error.name !== "AbortError") form.submit();
    }
  };
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, 150);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(waiting);
    search();
  });
}

function leadPlayer(player, lines) {
  const links = [...lines.querySelectorAll("a[data-seconds]")];
  const begins = links.map((link) => Number(link.dataset.seconds));
  let current = null;
  lines.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-seconds]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    goTo(player, Number(link.dataset.seconds));
  });
  player.addEventListener("timeupdate", () => {
    let last = -1;
    while (last + 1 < begins.length && begins[last + 1] <= player.currentTime + 0.05) last += 1;
    if (links[last] === current) return;
    current?.removeAttribute("aria-current");
    current = links[last] ?? null;
    if (!current) return;
    current.setAttribute("aria-current", "true");
    if (!lines.contains(document.activeElement)) {
      lines.scrollTop = current.offsetTop - lines.offsetTop - lines.clientHeight / 3;
    }
  });
}

function goTo(player, seconds) {
  const seek = () => { player.currentTime = seconds; };
  if (player.readyState >= HTMLMediaElement.HAVE_METADATA) seek();
  else player.addEventListener("loadedmetadata", seek, { once: true });
  player.play().catch(() => {});
}

function renewLink(media) {
  let renewed = 0;
  media.addEventListener("error", () => {
    const now = Date.now();
    if (!media.currentTime || now - renewed < 30000) return;
    renewed = now;
    const seconds = media.currentTime, address = new URL(media.currentSrc || media.src, location.href);
    if (address.origin !== location.origin) address.href = new URL(media.getAttribute("src"), location.href);
    address.hash = "";
    address.searchParams.set("again", String(now));
    media.src = address.href;
    goTo(media, seconds);
  });
}

function offerCopy(command) {
  if (!navigator.clipboard) return;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(command.querySelector("code").textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  command.append(button);
}
