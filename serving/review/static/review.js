// Keys for labelling. Every page works without this file: it presses what can be clicked, and sends nothing by itself.
"use strict";

const OFF = "itrp-review-keys-off";
const status = document.getElementById("told");
const toggle = document.getElementById("keys");
let sent = false;

function tell(sentence) {
  if (status) status.textContent = sentence;
}

function keysAreOff() {
  try { return localStorage.getItem(OFF) === "yes"; } catch { return false; }
}

function isTyping(element) {
  return element instanceof HTMLElement &&
    (element.isContentEditable || element.matches("textarea, select, input:not([type=radio]):not([type=checkbox])"));
}

function isAnswered(form) {
  return [...form.querySelectorAll("fieldset[data-question]")].every((each) => each.querySelector("input:checked"));
}

function choose(input) {
  input.checked = true;
  const group = input.closest("fieldset");
  const form = input.form;
  if (isAnswered(form)) {
    tell("Both answered: saving.");
    form.requestSubmit(form.querySelector("[data-save]"));
  } else {
    const name = input.closest("label").querySelector("[data-name]").textContent;
    tell(`${group.dataset.question}: ${name}.`);
  }
}

function press(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (keysAreOff() || event.repeat || event.key.length !== 1) return;
  const wanted = event.key.toLowerCase();
  const found = [...document.querySelectorAll("[data-key]")].find((each) => each.dataset.key === wanted);
  if (!found) return;
  event.preventDefault();
  if (found.matches("input[type=radio]")) choose(found);
  else if (found.matches("textarea, input")) found.focus();
  else if (found.matches("summary")) { found.click(); found.focus(); }
  else found.click();
}

// A form goes once: the server enters it once however often it comes, but a second press should not even ask.
function sendOnce(event) {
  if (sent) { event.preventDefault(); return; }
  sent = true;
}

function showToggle() {
  const off = keysAreOff();
  toggle.textContent = off ? "Switch keys on" : "Switch keys off";
  toggle.setAttribute("aria-pressed", String(!off));
}

document.addEventListener("keydown", press);
document.querySelectorAll("form[method=post]").forEach((form) => form.addEventListener("submit", sendOnce));
window.addEventListener("pageshow", () => { sent = false; });
if (toggle) {
  toggle.hidden = false;
  showToggle();
  toggle.addEventListener("click", () => {
    try { localStorage.setItem(OFF, keysAreOff() ? "no" : "yes"); } catch { tell("This browser keeps no choice."); }
    showToggle();
  });
}
// A screen reader says what changes after the page is there: the server's message is put in place once more.
if (status && status.textContent.trim()) {
  const sentence = status.textContent;
  status.textContent = "";
  setTimeout(() => tell(sentence), 150);
}
